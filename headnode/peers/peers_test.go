package peers_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/agree"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/peers"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/internal/requestid"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
)

// told is a head that does as a test says.
type told struct {
	err      error
	refused  error
	request  string        // of the last proposal
	hanging  chan struct{} // a question for the read index waits for it
	held     chan struct{} // closed when the images are let go
	register model.Head
}

func (h *told) ProposeHere(ctx context.Context, _ []byte) (peers.Proposed, error) {
	h.request = requestid.Of(ctx)
	if h.refused != nil {
		return peers.Proposed{Index: 7, Refused: wire.NewErrorBody(h.refused)}, nil
	}
	return peers.Proposed{Index: 7}, h.err
}

func (h *told) LeaderIndex(ctx context.Context) (uint64, error) {
	if h.hanging != nil {
		close(h.hanging)
		<-ctx.Done()
	}
	return 9, h.err
}

func (h *told) Register(_ context.Context, m model.Head, forward bool) error {
	h.register = m
	return h.err
}
func (h *told) Unregister(context.Context, string) error { return h.err }

func (h *told) Reserve(_ context.Context, in containers.Intent) (peers.Reserved, error) {
	return peers.Reserved{Container: in.Container, Index: 8}, h.err
}
func (h *told) Working() []string                                 { return []string{"a", "b"} }
func (h *told) Findings() (map[string]reconcile.Findings, error)  { return nil, h.err }
func (h *told) CancelBuild(context.Context, string, string) error { return h.err }
func (h *told) HoldImages() ([]string, func(), error) {
	return []string{"node"}, func() { close(h.held) }, h.err
}
func (h *told) StateHash(context.Context, uint64) (agree.Answer, error) {
	return agree.Answer{Hash: "x"}, h.err
}

type bench struct {
	head    *told
	ca      *pki.CA
	address string
	client  *peers.Client
}

// open serves head-1 to a client that is head-2.
func open(t *testing.T, removed string) bench {
	t.Helper()
	ca, err := pki.CreateCA("dc", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b := bench{head: &told{held: make(chan struct{})}, ca: ca}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	server := &http.Server{Handler: peers.NewHandler(peers.Config{
		Log: b.head, Members: b.head, Work: b.head, Hashes: b.head, Logger: slog.New(slog.DiscardHandler),
		Removed: func(id string) bool { return id == removed },
	}), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go server.Serve(tls.NewListener(l, b.identity(t, pki.RoleHead, "head-1").ServerTLS(pki.RoleHead)))
	t.Cleanup(func() { server.Close() })
	b.client = b.as(t, b.identity(t, pki.RoleHead, "head-2"))
	return b
}

func (b bench) as(t *testing.T, who *pki.Identity) *peers.Client {
	client := peers.NewClient(
		func(id string) *tls.Config { return who.ClientTLS(pki.RoleHead, id) },
		func(id string) string { return map[string]string{"head-1": b.address, "head-3": b.address}[id] },
	)
	t.Cleanup(client.Close)
	return client
}

func (b bench) identity(t *testing.T, role pki.Role, id string) *pki.Identity {
	t.Helper()
	key, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := b.ca.Sign(csr, role, id, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	identity, err := pki.NewIdentity(key, cert, b.ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func TestThreeAnswersAreToldApart(t *testing.T) {
	t.Parallel()
	b := open(t, "")
	ctx := requestid.With(t.Context(), "request-1")
	done, err := b.client.Propose(ctx, "head-1", []byte("{}"))
	if err != nil || done.Index != 7 || done.Refused != nil || b.head.request != "request-1" {
		t.Errorf("done: %+v of request %q, error %v", done, b.head.request, err)
	}
	b.head.refused = model.Errorf(model.KindConflict, "taken")
	if done, err = b.client.Propose(ctx, "head-1", nil); err != nil || !model.IsKind(done.Refused.Err(), model.KindConflict) {
		t.Errorf("refused: %+v, error %v", done, err)
	}
	b.head.refused, b.head.err = nil, model.WrapError(model.KindUnavailable, peers.ErrAgain, "not here")
	if _, err = b.client.Propose(ctx, "head-1", nil); !errors.Is(err, peers.ErrAgain) || !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("again: error %v", err)
	}
	b.head.err = model.Errorf(model.KindExhausted, "no room")
	if _, err = b.client.Reserve(ctx, "head-1", containers.Intent{}); errors.Is(err, peers.ErrAgain) || !model.IsKind(err, model.KindExhausted) || err.Error() != "no room" {
		t.Errorf("a refused reservation: error %v", err)
	}
}

func TestAHeadThatIsAwayMayBeAskedAgain(t *testing.T) {
	t.Parallel()
	b := open(t, "")
	for _, id := range []string{"head-3", "head-4"} { // another one's certificate, and no address
		if _, err := b.client.ReadIndex(t.Context(), id); !errors.Is(err, peers.ErrAgain) {
			t.Errorf("%s: error %v", id, err)
		}
	}
	b.head.hanging = make(chan struct{})
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("another head leads")
	go func() {
		<-b.head.hanging
		cancel(gone)
	}()
	if _, err := b.client.ReadIndex(ctx, "head-1"); !errors.Is(err, gone) {
		t.Errorf("a question that its caller gave up: error %v", err)
	}
}

func TestOnlyHeadsOfTheDataCenterAreServed(t *testing.T) {
	t.Parallel()
	b := open(t, "head-9")
	for name, who := range map[string]*pki.Identity{
		"a node":         b.identity(t, pki.RoleNode, "node-1"),
		"a removed head": b.identity(t, pki.RoleHead, "head-9"),
	} {
		if _, err := b.as(t, who).Working(t.Context(), "head-1"); err == nil {
			t.Errorf("%s is served", name)
		}
	}
	ids, err := b.client.Working(t.Context(), "head-1")
	if diff := cmp.Diff([]string{"a", "b"}, ids); diff != "" || err != nil {
		t.Errorf("error %v, working on %s", err, diff)
	}
}

func TestImagesAreHeldForAsLongAsTheConnection(t *testing.T) {
	t.Parallel()
	b := open(t, "")
	asking, cancel := context.WithCancel(t.Context())
	arriving, release, err := b.client.HoldImages(asking, "head-1")
	if err != nil || len(arriving) != 1 {
		t.Fatalf("arriving %v, error %v", arriving, err)
	}
	cancel() // the question is over; what it has opened is not
	select {
	case <-b.head.held:
		t.Error("the images were let go with the question")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	<-b.head.held
}

func TestRegistrationNamesItself(t *testing.T) {
	t.Parallel()
	b := open(t, "")
	h := model.Head{ID: "head-2", Name: "two", PeerAddress: "10.0.0.2:2381"}
	if err := b.client.RegisterAt(t.Context(), b.address, h); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, b.head.register); diff != "" {
		t.Error(diff)
	}
	b.head.err = model.Errorf(model.KindForbidden, "removed")
	if err := b.client.Register(t.Context(), "head-1", h); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("error %v", err)
	}
}

func TestOthersAreWaitedForOnlySoLong(t *testing.T) {
	t.Parallel()
	const patience = 30 * time.Millisecond
	others := peers.NewOthers(func() []string { return []string{"head-1", "head-3"} }, patience)
	away := model.WrapError(model.KindUnavailable, peers.ErrAgain, "away")
	ask := func(_ context.Context, id string) error {
		if id == "head-3" {
			return away
		}
		return nil
	}
	if err := others.Ask(t.Context(), ask); !errors.Is(err, peers.ErrAgain) {
		t.Errorf("a head that has just gone does not count: error %v", err)
	}
	<-time.After(2 * patience)
	if err := others.Ask(t.Context(), ask); err != nil {
		t.Errorf("a head that is long gone counts: error %v", err)
	}
	busy := model.Errorf(model.KindConflict, "busy")
	if err := others.Ask(t.Context(), func(context.Context, string) error { return busy }); !errors.Is(err, busy) {
		t.Errorf("what a head says is passed over: error %v", err)
	}
	if err := others.Ask(t.Context(), ask); err == nil || !strings.Contains(err.Error(), "away") {
		t.Errorf("a head that was back is not waited for: error %v", err)
	}
}
