package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
)

// farewell is how long calls that are under way may take when the server
// ends. Streams end at once: whoever reads them asks again.
const farewell = 5 * time.Second

// Serve serves a on the listener until ctx ends, and closes the listener.
// tlsConfig decides who may connect. Heads may call everything that is in
// wire.Agent, other nodes what is in wire.Peer and wire.Origin, and nobody else
// anything.
func Serve(ctx context.Context, listener net.Listener, tlsConfig *tls.Config, a wire.Node, logger *slog.Logger) error {
	tlsConfig = tlsConfig.Clone()
	tlsConfig.NextProtos = []string{"http/1.1"} // streams are upgraded connections
	tlsConfig.DynamicRecordSizingDisabled = true

	streams, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	defer endStreams()
	server := &http.Server{
		Handler:           byRole(wire.NewHandler(a, logger), wire.NewPeerHandler(a, logger)),
		BaseContext:       func(net.Listener) context.Context { return streams },
		ConnContext:       cork.With,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       3 * time.Minute, // longer than a head keeps a connection: the head closes first
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(tls.NewListener(cork.Listener{Listener: listener}, tlsConfig)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("cannot serve heads: %w", err)
	case <-ctx.Done():
	}
	endStreams()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve heads: %w", err)
	}
	return nil
}

// byRole hands a call to the handler for who makes it, as its certificate says.
func byRole(heads, nodes http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		role, id, err := pki.Peer(*r.TLS)
		switch {
		case err == nil && role == pki.RoleHead:
			heads.ServeHTTP(w, r)
		case err == nil && role == pki.RoleNode:
			nodes.ServeHTTP(w, r.WithContext(wire.WithCaller(r.Context(), id)))
		default:
			http.Error(w, "neither heads nor nodes of this data center call so", http.StatusForbidden)
		}
	})
}
