package headnode

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// fromTheFuture is a command that no head of this version knows. It makes the
// store give up, as a failing disk does.
type fromTheFuture struct{}

func (fromTheFuture) Number() command.Number { return 60_000 }

func TestFailedStoreEndsTheHead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{
		Name: "head-1", DataCenter: "test", StateDir: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "head.sock"),
		DockerListen: "127.0.0.1:0", RaftListen: "127.0.0.1:0", PeerListen: "127.0.0.1:0", GossipListen: "127.0.0.1:0", Advertise: []string{"127.0.0.1"},
		Logger: slog.New(slog.DiscardHandler),
	}.withDefaults()
	if err := Init(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	home, err := openHome(cfg.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	h := newHead(cfg, home)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var opened revert.Stack
	defer opened.Revert()
	if err := h.open(ctx, &opened); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.serve(ctx) }()
	if err := h.store.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Propose(ctx, fromTheFuture{}); err == nil {
		t.Error("an unknown command was carried out")
	}
	const want = "the replicated state has failed: "
	if err := <-ended; err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("the head ended with %v", err)
	}
}
