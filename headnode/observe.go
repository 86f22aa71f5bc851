package headnode

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/metrics"
)

// metricsEndpoint is where Prometheus fetches numbers. It asks for no identity:
// who may reach it is decided by the address that it listens on.
func (h *head) metricsEndpoint(ctx context.Context) (endpoint, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", h.cfg.MetricsListen)
	if err != nil {
		return endpoint{}, fmt.Errorf("cannot listen for who fetches metrics: %w", err)
	}
	return endpoint{"metrics", l, &http.Server{
		Handler: h.metrics.Handler(h.sources()), ReadHeaderTimeout: dockerapi.ReadHeaderTimeout, IdleTimeout: dockerapi.IdleTimeout,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}}, nil
}

// sources are where the numbers of this head are looked up.
func (h *head) sources() metrics.Sources {
	return metrics.Sources{
		Store: h.store, Session: h.nodes.Session, Findings: h.reconciler.Findings, Members: h.ring.Members,
		Images: h.images.Owed, Gates: h.containers.Gates, Logger: h.log,
	}
}

// status is the page for operators.
func (h *head) status() metrics.Status { return h.metrics.Status(h.sources()) }

// metricsAddress is where others fetch this head's numbers: the host is the one
// that it is reached by where it listens on all.
func (h *head) metricsAddress() string {
	host, port, err := net.SplitHostPort(h.cfg.MetricsListen)
	if err != nil {
		return "" // it listens nowhere
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = h.cfg.Advertise[0]
	}
	return net.JoinHostPort(host, port)
}
