package images

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// How many nodes hold what an account names.
const (
	DefaultHolders = 2
	MaxHolders     = 3
)

const (
	spreadInterval = 2 * time.Second
	spreadPause    = 100 * time.Millisecond // between two looks at what is lacking
	spreadAtOnce   = 2                      // copies under way
	// lostAfter is how long a node may be away before others make up for what
	// it holds: a restart of a machine is no reason to copy.
	lostAfter   = 5 * time.Minute
	firstDelay  = 5 * time.Second // after a copy that failed
	lastDelay   = 10 * time.Minute
	sweepPause  = 2 * time.Second // between two sweeps for what other heads have removed
	spareDisk   = 1 << 30         // bytes that a node keeps free when it is given a copy
	unpackedToo = 2               // an image takes its size twice at most: packed and unpacked
)

// Spread makes the copies, until ctx ends, that images which accounts name
// lack, and has nodes make room whose disks are nearly full.
// Only the leader may call it, once at a time.
func (s *Service) Spread(ctx context.Context) {
	sp := &spreader{
		s: s, busy: map[target]bool{}, failed: map[target]failure{},
		away: map[string]time.Time{}, shed: map[string]map[string]bool{},
	}
	defer sp.copies.Wait()
	again, pace := time.NewTicker(spreadInterval), time.NewTicker(spreadPause)
	defer again.Stop()
	defer pace.Stop()
	for {
		changed := s.store.Changed()
		sp.begin(ctx, time.Now())
		select {
		case <-changed:
		case <-again.C: // nodes come and go without a change of the state
		case <-ctx.Done():
			return
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
	}
}

// target is a copy to be made.
type target struct{ imageID, nodeID string }

// failure is a copy that failed, and when it may be tried again.
type failure struct {
	delay time.Duration
	until time.Time
}

// spreader is what the leader remembers of copies. A new leader begins with
// nothing: what it has to know is in the state.
type spreader struct {
	s      *Service
	copies sync.WaitGroup
	away   map[string]time.Time       // since when nodes are not connected
	shed   map[string]map[string]bool // images that nodes with full disks were asked about

	accounts map[string]bool // when last looked at
	swept    time.Time

	mu     sync.Mutex
	busy   map[target]bool
	failed map[target]failure
}

// begin starts the copies that are to be made now. What copies hold up is done
// between them.
func (sp *spreader) begin(ctx context.Context, now time.Time) {
	if now.Sub(sp.swept) > sweepPause && sp.s.anyUnused(sp.s.store.View()) {
		sp.swept = now
		sp.s.debts.oweSweep() // the last name was removed at another head
	}
	if sp.s.debts.any() {
		if !sp.idle() {
			return
		}
		sp.s.payDebts(ctx)
	}
	v := sp.s.store.View()
	sp.look(v, now)
	sp.farewell(v)
	sp.relieve(ctx, v)
	for _, img := range v.Images() {
		lacks := sp.lacks(img, now)
		if lacks <= 0 {
			continue
		}
		names := v.NamesOfImage(img.ID)
		if len(names) == 0 {
			continue
		}
		for _, nodeID := range sp.choose(v, img, lacks, now) {
			if !sp.enter(target{img.ID, nodeID}) {
				return // enough are under way
			}
			ref := ""
			if len(sp.s.sources(v, *img, nodeID)) == 0 {
				ref = registryRef(names, *img) // nobody is left
			}
			sp.copies.Go(func() { sp.make(ctx, v, *img, nodeID, ref) })
		}
	}
}

// look notes which nodes are away.
func (sp *spreader) look(v *state.View, now time.Time) {
	for _, n := range v.Nodes() {
		switch _, noted := sp.away[n.ID]; {
		case sp.s.agents.Connected(n.ID):
			delete(sp.away, n.ID)
		case !noted:
			sp.away[n.ID] = now
		}
	}
}

// farewell notes which accounts are gone: what only they had is swept away.
func (sp *spreader) farewell(v *state.View) {
	now := map[string]bool{}
	for _, a := range v.Accounts() {
		now[a.ID] = true
	}
	for id := range sp.accounts {
		if !now[id] {
			sp.s.debts.oweSweep()
		}
	}
	sp.accounts = now
}

// lost reports whether others have to make up for a node.
func (sp *spreader) lost(nodeID string, now time.Time) bool {
	since, away := sp.away[nodeID]
	return away && now.Sub(since) > lostAfter
}

// lacks is how many copies of an image are to be made, beside those that are
// under way.
func (sp *spreader) lacks(img *model.Image, now time.Time) int {
	n := sp.s.holders
	for _, id := range img.Holders {
		if !sp.lost(id, now) {
			n--
		}
	}
	if n <= 0 {
		return 0
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for t := range sp.busy {
		if t.imageID == img.ID && !slices.Contains(img.Holders, t.nodeID) {
			n--
		}
	}
	return n
}

// choose returns the nodes that an image is to be copied to, the emptiest
// disks first.
func (sp *spreader) choose(v *state.View, img *model.Image, count int, now time.Time) []string {
	free := map[string]int64{}
	var ids []string
	for _, n := range v.Nodes() {
		free[n.ID] = sp.s.freeDisk(n)
		if suits(n, img) && sp.s.agents.Connected(n.ID) && sp.s.fault(n.ID) == "" && sp.ready(target{img.ID, n.ID}, now) && free[n.ID] > spareDisk+unpackedToo*img.Size {
			ids = append(ids, n.ID)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(free[b], free[a]), strings.Compare(a, b)) })
	return ids[:min(count, len(ids))]
}

// ready reports whether a copy is neither under way nor failed a short while
// ago.
func (sp *spreader) ready(t target, now time.Time) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return !sp.busy[t] && !now.Before(sp.failed[t].until)
}

// suits reports whether a node may be given a copy: what cannot run there need
// not lie there.
func suits(n *model.Node, img *model.Image) bool {
	return n.Approved && !n.Cordoned && n.Info.Architecture == img.Architecture && !slices.Contains(img.Holders, n.ID)
}

// freeDisk is how many bytes a node has left, as it last told.
func (s *Service) freeDisk(n *model.Node) int64 {
	if s.load != nil {
		if l, ok := s.load(n.ID); ok {
			return l.Free.Disk
		}
	}
	return n.Info.Capacity.Disk
}

func (sp *spreader) idle() bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return len(sp.busy) == 0
}

// enter takes one of the places for copies.
func (sp *spreader) enter(t target) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if len(sp.busy) >= spreadAtOnce {
		return false
	}
	sp.busy[t] = true
	return true
}

// make makes one copy. After one that failed, the holders are asked what they
// have: they may have lost it.
func (sp *spreader) make(ctx context.Context, v *state.View, img model.Image, nodeID, ref string) {
	t := target{img.ID, nodeID}
	err := sp.s.copy(ctx, v, img, nodeID, ref)
	sp.leave(t, err, time.Now())
	if err == nil || ctx.Err() != nil {
		return
	}
	log := sp.s.log.With(slog.String("image", img.ID), slog.String("node", nodeID))
	log.Warn("cannot copy an image to another node yet", slog.Any("err", err))
	for _, id := range img.Holders {
		if err := sp.s.Settle(ctx, id); err != nil && !model.IsKind(err, model.KindUnavailable) {
			log.Warn("cannot ask a node which images it holds", slog.String("holder", id), slog.Any("err", err))
		}
	}
}

// leave gives the place back and notes a failure.
func (sp *spreader) leave(t target, err error, now time.Time) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	delete(sp.busy, t)
	if err == nil {
		delete(sp.failed, t)
		return
	}
	delay := min(max(2*sp.failed[t].delay, firstDelay), lastDelay)
	sp.failed[t] = failure{delay: delay, until: now.Add(delay)}
}
