package agree_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/agree"
	"github.com/spearheadcloud/spearhead/internal/testaddr"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// heads are three that ask each other directly.
type heads map[string]*raftstore.Store

func (h heads) StateHash(ctx context.Context, headID string, index uint64) (agree.Answer, error) {
	hash, err := h[headID].HashAt(ctx, index)
	return agree.Answer{Hash: hash.Hash, Version: "1"}, err
}

func TestP5HeadWithAnotherStateStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	all := open(t)
	propose(ctx, t, all, command.CreateAccount{Account: model.Account{ID: "a", Login: "jill", Policy: model.PolicyTenant}})
	for _, s := range all {
		if err := s.Wait(ctx, func(v *state.View) (bool, error) { return len(v.Accounts()) > 0, nil }); err != nil {
			t.Fatal(err)
		}
	}
	logs := map[string]*syncBuffer{}
	var running sync.WaitGroup
	for id, s := range all {
		logs[id] = &syncBuffer{}
		checker := agree.New(agree.Config{
			Store: s, Heads: all, HeadID: id, Version: "1", Interval: 50 * time.Millisecond,
			Logger: slog.New(slog.NewTextHandler(logs[id], &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		running.Go(func() { checker.Run(ctx) })
	}
	awaitLog(ctx, t, logs["head-2"], "are equal")

	corrupt(all["head-2"])
	propose(ctx, t, all, command.SetSetting{Name: "a", Value: "b"})
	select {
	case <-all["head-2"].Failed():
	case <-ctx.Done():
		t.Fatal("a head with another state goes on")
	}
	if err := all["head-2"].Err(); !strings.Contains(err.Error(), "differs from that of the other heads") {
		t.Errorf("it says %v", err)
	}
	awaitLog(ctx, t, logs["head-0"], "differ from this one's")
	propose(ctx, t, all, command.SetSetting{Name: "a", Value: "c"})
	for _, id := range []string{"head-0", "head-1"} {
		if err := all[id].Err(); err != nil {
			t.Errorf("%s has failed too: %v", id, err)
		}
	}
	cancel()
	running.Wait()
}

// corrupt changes a row in the memory of a head, as a broken one would.
func corrupt(s *raftstore.Store) {
	s.View().Accounts()[0].Login = "jack"
	// Taking and giving back its lock shows the change to whoever hashes next.
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	s.NextHash(canceled, 1<<62)
}

// propose lets whoever leads propose.
func propose(ctx context.Context, t *testing.T, all heads, c command.Command) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, s := range all {
			if _, err := s.ProposeAs(ctx, fmt.Sprint(c), c); err == nil {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("nobody leads")
		}
	}
}

func open(t *testing.T) heads {
	t.Helper()
	ca, err := pki.CreateCA("dc-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	all := heads{}
	for i := range 3 {
		id, address := fmt.Sprintf("head-%d", i), testaddr.Free(t)
		s, err := raftstore.Open(t.Context(), raftstore.Config{
			Dir: t.TempDir(), ID: id, Bind: address, Identity: identity(t, ca, id), Bootstrap: i == 0,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		all[id] = s
		if i == 0 {
			if err := s.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		join(t, all, id, address)
	}
	return all
}

func join(t *testing.T, all heads, id, address string) {
	t.Helper()
	for t.Context().Err() == nil {
		for _, s := range all {
			if s.IsLeader() && s.Join(t.Context(), id, address) == nil {
				return
			}
		}
	}
}

func identity(t *testing.T, ca *pki.CA, id string) *pki.Identity {
	t.Helper()
	key, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(csr, pki.RoleHead, id, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	i, err := pki.NewIdentity(key, cert, ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func awaitLog(ctx context.Context, t *testing.T, log *syncBuffer, text string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(log.String(), text) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%q is not in the log:\n%s", text, log)
		}
	}
}

// syncBuffer is a buffer that several goroutines use.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
