package raftstore

import (
	"context"
	"slices"
	"sync"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// StateHash is the hash of a head's state as of an entry, which was a
// command.CheckState. Heads of one version have the same for the same entry.
type StateHash struct {
	Index uint64 `json:"index"`
	Hash  string `json:"hash"`
}

// keepHashes is how many of them are kept for heads that ask late.
const keepHashes = 8

// hashes works out the hashes of views beside the application of entries.
type hashes struct {
	work *inflight
	news *broadcast

	mu    sync.Mutex
	busy  bool
	known []StateHash // the latest, in order
}

func newHashes(work *inflight) *hashes { return &hashes{work: work, news: newBroadcast()} }

// begin works out the hash of v, unless another one is still being worked out:
// that one then has to do.
func (h *hashes) begin(v *state.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy {
		return
	}
	h.busy = h.work.run(func() {
		hash, err := v.Hash()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy = false
		if err != nil {
			return // a view that cannot be written fails its snapshot loudly
		}
		h.known = append(h.known, StateHash{Index: v.Index(), Hash: hash})
		h.known = slices.Clone(h.known[max(0, len(h.known)-keepHashes):])
		h.news.send()
	})
}

// find returns the first known hash that is as wanted.
func (h *hashes) find(wanted func(StateHash) bool) (StateHash, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.known, wanted)
	if i < 0 {
		return StateHash{}, false
	}
	return h.known[i], true
}

// NextHash waits for the hash of an entry after the given one.
func (s *Store) NextHash(ctx context.Context, after uint64) (StateHash, error) {
	for {
		news := s.fsm.hashes.news.next()
		if h, ok := s.fsm.hashes.find(func(h StateHash) bool { return h.Index > after }); ok {
			return h, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return StateHash{}, ctx.Err()
		case <-s.failed.ch:
			return StateHash{}, s.failed.err
		case <-s.stop:
			return StateHash{}, ErrClosed
		}
	}
}

// HashAt waits for the hash of the state as of the entry index. It is
// KindNotFound if this head has none and will have none.
func (s *Store) HashAt(ctx context.Context, index uint64) (StateHash, error) {
	h, err := s.NextHash(ctx, index-1)
	if err != nil {
		return StateHash{}, err
	}
	if h.Index != index {
		return StateHash{}, model.Errorf(model.KindNotFound, "this head has not worked out the hash of its state as of entry %d", index)
	}
	return h, nil
}
