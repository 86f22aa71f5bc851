package raftstore

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// ring is heads of one process, whose connections and disks can be broken.
type ring struct {
	t     testing.TB
	heads []*member
}

// member is one head. Its Store is another one after a restart.
type member struct {
	*Store
	id, dir string
	trans   *raft.InmemTransport
	disk    *hangingDisk
	cut     atomic.Bool
	// through replaces the transport that raft gets, at the next start.
	through func(transport) transport
}

// newRing makes heads of which the first leads and all vote.
func newRing(t testing.TB, n int) *ring {
	t.Helper()
	r := &ring{t: t}
	for i := range n {
		m := r.add()
		r.start(m)
		if i == 0 {
			waitReady(t, m.Store)
			continue
		}
		r.join(m)
	}
	return r
}

// add makes a head that is not started yet.
func (r *ring) add() *member {
	m := &member{id: fmt.Sprintf("head-%d", len(r.heads)), dir: r.t.TempDir()}
	r.heads = append(r.heads, m)
	return m
}

// start opens a head; the very first one of the ring makes the data center.
func (r *ring) start(m *member) {
	r.t.Helper()
	if err := r.open(m); err != nil {
		r.t.Fatal(err)
	}
}

func (r *ring) open(m *member) error {
	failed := newFailure()
	d, err := openDisk(m.dir, m.id, defaultDiskTimeout, failed, discard())
	if err != nil {
		return err
	}
	m.disk = &hangingDisk{backend: d.store.db, hang: make(chan struct{})}
	d.store.db = m.disk
	_, m.trans = raft.NewInmemTransportWithTimeout(raft.ServerAddress(m.id), 2*time.Second)
	var trans transport = m.trans
	if m.through != nil {
		trans = m.through(trans)
	}
	cfg := Config{ID: m.id, Bootstrap: m == r.heads[0], DiskTimeout: defaultDiskTimeout, Logger: discard()}
	s, err := run(cfg, d, failed, trans)
	if err != nil {
		return err
	}
	m.Store = s
	r.t.Cleanup(func() { s.Close() })
	r.wire()
	return nil
}

// wire connects the heads that are not cut off, and no others.
func (r *ring) wire() {
	for _, a := range r.heads {
		for _, b := range r.heads {
			switch {
			case a == b || a.trans == nil || b.trans == nil:
			case a.cut.Load() || b.cut.Load():
				a.trans.Disconnect(b.trans.LocalAddr())
			default:
				a.trans.Connect(b.trans.LocalAddr(), b.trans)
			}
		}
	}
}

// cut separates a head from all others, or lets it back.
func (r *ring) cut(m *member, cut bool) {
	m.cut.Store(cut)
	r.wire()
}

func (r *ring) stop(m *member) {
	r.t.Helper()
	if err := m.Close(); err != nil {
		r.t.Error(err)
	}
}

// join makes a head a voter.
func (r *ring) join(m *member) {
	r.t.Helper()
	if err := r.lead(func(l *member) error { return l.Join(r.t.Context(), m.id, m.id) }, m); err != nil {
		r.t.Fatalf("%s cannot join: %v", m.id, err)
	}
}

// remove takes a head out.
func (r *ring) remove(m *member) {
	r.t.Helper()
	if err := r.lead(func(l *member) error { return l.RemoveHead(r.t.Context(), m.id) }); err != nil {
		r.t.Fatalf("%s cannot be removed: %v", m.id, err)
	}
}

// lead lets whoever leads do something, once more by another leader if the
// lead is lost meanwhile, as may happen on a busy machine.
func (r *ring) lead(do func(*member) error, except ...*member) error {
	r.t.Helper()
	for {
		err := do(r.leader(except...))
		if !model.IsKind(err, model.KindUnavailable) {
			return err
		}
		r.t.Logf("to be tried again: %v", err)
	}
}

func patient(tb testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(tb.Context()), 60*time.Second)
}

// leader waits until one of the heads leads that are not cut off and not among
// except, and can write.
func (r *ring) leader(except ...*member) *member {
	r.t.Helper()
	ctx, cancel := patient(r.t)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, m := range r.heads {
			if m.Store == nil || m.cut.Load() || slices.Contains(except, m) || !m.IsLeader() {
				continue
			}
			if m.Barrier(ctx) == nil {
				return m
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.t.Fatal("no new leader")
		}
	}
}

// others are all heads but m.
func (r *ring) others(m *member) []*member {
	return slices.DeleteFunc(slices.Clone(r.heads), func(o *member) bool { return o == m })
}

// request repeats a request with whoever leads until its outcome is known, as
// a head does for its users.
func (r *ring) request(ctx context.Context, id string, c command.Command) (Result, error) {
	entry, err := command.Encode(command.Entry{Request: id, Command: c})
	if err != nil {
		return Result{}, err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, m := range r.heads {
			if !m.IsLeader() {
				continue
			}
			attempt, cancel := context.WithTimeout(ctx, time.Second)
			result, err := m.ProposeEncoded(attempt, entry)
			cancel()
			if err == nil || !model.IsKind(err, model.KindUnavailable) {
				return result, err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Result{}, fmt.Errorf("%w: %w", ErrUnknownOutcome, ctx.Err())
		}
	}
}

// fresh is what m shows after a leader, any that believes to be one, has said
// how far it must be.
func (r *ring) fresh(ctx context.Context, m *member) (*state.View, error) {
	for _, l := range r.heads {
		if !l.IsLeader() || l.cut.Load() != m.cut.Load() || l.cut.Load() && l != m {
			continue
		}
		index, err := l.ReadIndex(ctx)
		if err != nil {
			continue
		}
		if err := m.WaitApplied(ctx, index); err != nil {
			return nil, err
		}
		return m.View(), nil
	}
	return nil, &NotLeaderError{}
}

// converge waits until all heads have applied the same, and compares.
func (r *ring) converge(heads ...*member) {
	r.t.Helper()
	ctx, cancel := patient(r.t)
	defer cancel()
	result := mustPropose(r.t, r.leader().Store, command.SetSetting{Name: "converge", Value: "x"})
	var want string
	for _, m := range heads {
		if err := m.WaitApplied(ctx, result.Index); err != nil {
			r.t.Fatalf("%s does not catch up: %v", m.id, err)
		}
		got := stateHash(r.t, m.Store)
		if want == "" {
			want = got
		}
		if got != want {
			r.t.Errorf("the state of %s differs", m.id)
		}
	}
}
