package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/agent/server"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func identity(t *testing.T, ca *pki.CA, role pki.Role, id string) *pki.Identity {
	t.Helper()
	key, request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(request, role, id, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	i, err := pki.NewIdentity(key, cert, ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestHeadsAreServedAndNobodyElse(t *testing.T) {
	ca, err := pki.CreateCA("dc", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	agent := wiretest.NewAgent()
	defer agent.Close()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, listener, identity(t, ca, pki.RoleNode, "n1").ServerTLS(pki.RoleHead), agent, slog.New(slog.DiscardHandler))
	}()
	url := "https://" + listener.Addr().String()

	head := wire.NewClient(url, identity(t, ca, pki.RoleHead, "h1").ClientTLS(pki.RoleNode, "n1"))
	defer head.Close()
	if _, err := head.Info(t.Context()); err != nil {
		t.Errorf("a head is refused: %v", err)
	}
	other := wire.NewClient(url, identity(t, ca, pki.RoleNode, "n2").ClientTLS(pki.RoleNode, "n1"))
	defer other.Close()
	if _, err := other.Info(t.Context()); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("another node got %v", err)
	}
	misled := wire.NewClient(url, identity(t, ca, pki.RoleHead, "h1").ClientTLS(pki.RoleNode, "n3"))
	defer misled.Close()
	if _, err := misled.Info(t.Context()); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a head that looks for another node got %v", err)
	}

	r := wiretest.Request()
	if _, err := head.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	stream, err := head.Attach(t.Context(), r.Container.ID, wire.AttachRequest{Stdout: true, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	journal, err := head.Journal(t.Context(), wire.Ack{})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	stop() // ends although streams are open
	if err := <-served; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		t.Logf("the stream ended with %v", err)
	}
	for err = nil; err == nil; {
		_, err = journal.Next()
	}
}
