package journal

import (
	"context"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Store is where entries are kept; state.DB is one.
type Store interface {
	Epoch() string
	Place() wire.Ack
	Changed() <-chan struct{}
	Entries(after uint64, limit int) ([]model.JournalEntry, error)
	Acknowledge(seq uint64)
}

// batchLimit is how many entries one batch holds at most, and lifeInterval how
// often an empty one is sent when nothing happens.
const (
	batchLimit   = 512
	lifeInterval = 2 * time.Second
)

// Follow returns the stream of entries after the given place and acknowledges
// those before it. A place of another epoch, or one that this journal has not
// reached, means all entries there are. The stream ends with ctx or Close.
func Follow(ctx context.Context, store Store, after wire.Ack) wire.JournalStream {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{ctx: ctx, cancel: cancel, store: store, life: time.NewTicker(lifeInterval)}
	if here := store.Place(); after.Epoch == here.Epoch && after.Seq <= here.Seq {
		s.place = after.Seq
		store.Acknowledge(after.Seq)
	}
	return s
}

type stream struct {
	ctx    context.Context
	cancel context.CancelFunc
	store  Store
	place  uint64 // of the newest entry that was returned
	life   *time.Ticker
	close  sync.Once
}

// Epoch implements wire.JournalStream.
func (s *stream) Epoch() string { return s.store.Epoch() }

// Next implements wire.JournalStream.
func (s *stream) Next() ([]model.JournalEntry, error) {
	for {
		if err := s.ctx.Err(); err != nil {
			return nil, err
		}
		changed := s.store.Changed()
		entries, err := s.store.Entries(s.place, batchLimit)
		if err != nil {
			return nil, err
		}
		if len(entries) > 0 {
			s.place = entries[len(entries)-1].Seq
			return entries, nil
		}
		select {
		case <-changed:
		case <-s.life.C:
			return nil, nil
		case <-s.ctx.Done():
		}
	}
}

// Close implements wire.JournalStream.
func (s *stream) Close() error {
	s.close.Do(func() {
		s.cancel()
		s.life.Stop()
	})
	return nil
}
