package agree

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

const (
	usualInterval = time.Minute
	// askTimeout is how long another head may take: it may have to catch up,
	// and a large state takes seconds.
	askTimeout = 30 * time.Second
)

// ErrDiverged is why a head has stopped whose state is not that of the others.
var ErrDiverged = errors.New("cannot go on with another state than the other heads")

// Store is what is needed of this head's replicated store.
type Store interface {
	IsLeader() bool
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
	NextHash(ctx context.Context, after uint64) (raftstore.StateHash, error)
	Stats() raftstore.Stats
	Fail(err error)
}

// Answer is what a head says of its state as of an entry.
type Answer struct {
	Hash    string `json:"hash"`
	Version string `json:"version"` // of its program
}

// Heads are the other heads.
type Heads interface {
	// StateHash asks a head for its state as of the entry index; see
	// raftstore.Store.HashAt.
	StateHash(ctx context.Context, headID string, index uint64) (Answer, error)
}

// Config is what a Checker stands on.
type Config struct {
	Store    Store
	Heads    Heads
	HeadID   string        // this head's
	Version  string        // of this program
	Interval time.Duration // between two comparisons; 0 is a minute
	Logger   *slog.Logger
}

// Checker compares this head with the others.
type Checker struct{ Config }

// New returns a Checker.
func New(c Config) *Checker {
	if c.Interval == 0 {
		c.Interval = usualInterval
	}
	return &Checker{c}
}

// Run compares until ctx ends or the store does. Every head calls it, once.
func (c *Checker) Run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer stop()
	asking.Go(func() { c.initiate(ctx) })
	c.compare(ctx)
}

// initiate lets all heads work out their hashes, while this one leads.
func (c *Checker) initiate(ctx context.Context) {
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	var last uint64
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !c.Store.IsLeader() || len(c.voters()) < 2 || c.Store.View().Index() == last {
			continue
		}
		r, err := c.Store.Propose(ctx, command.CheckState{})
		if err != nil {
			c.Logger.Warn("cannot let the heads compare their states", slog.String("op", "agree"), slog.Any("err", err))
			continue
		}
		last = r.Index
	}
}

// compare asks the others each time this head has a new hash.
func (c *Checker) compare(ctx context.Context) {
	var after uint64
	for {
		mine, err := c.Store.NextHash(ctx, after)
		if err != nil {
			return
		}
		after = mine.Index
		c.settle(mine, c.ask(ctx, mine.Index))
	}
}

func (c *Checker) settle(mine raftstore.StateHash, answers map[string]Answer) {
	answers[c.HeadID] = Answer{Hash: mine.Hash, Version: c.Version}
	log := c.Logger.With(slog.String("op", "agree"), slog.Uint64("index", mine.Index))
	switch v := judge(c.HeadID, answers, len(c.voters())); v.outcome {
	case equal:
		log.Debug("the states of the heads are equal", slog.Int("heads", len(answers)))
	case othersDiffer:
		log.Error("the states of heads differ from this one's; they should have stopped", slog.Any("heads", v.differ))
	case undecided:
		log.Error("the states of heads differ from this one's, and there is no majority that tells which is right: "+
			"stop the head that is wrong, and let it join again as a new one", slog.Any("heads", v.differ))
	case diverged:
		err := model.Errorf(model.KindInternal,
			"the replicated state of this head differs from that of the other heads as of entry %d; it has stopped. Remove it, and let the machine join again as a new head", mine.Index)
		log.Error("this head has stopped", slog.Any("err", err), slog.Any("heads", v.differ))
		c.Store.Fail(fmt.Errorf("%w: %w", ErrDiverged, err))
	}
}

// voters are the heads that count.
func (c *Checker) voters() []string {
	var ids []string
	for _, h := range c.Store.Stats().Heads {
		if h.Voter {
			ids = append(ids, h.ID)
		}
	}
	return ids
}

// ask collects what the other voters say; one that does not answer is missing.
func (c *Checker) ask(ctx context.Context, index uint64) map[string]Answer {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var (
		mu      sync.Mutex
		asking  sync.WaitGroup
		answers = map[string]Answer{}
	)
	for _, id := range c.voters() {
		if id == c.HeadID {
			continue
		}
		asking.Go(func() {
			answer, err := c.Heads.StateHash(ctx, id, index)
			if err != nil {
				c.Logger.Info("a head does not say how its state is", slog.String("op", "agree"), slog.String("head", id), slog.Any("err", err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answers[id] = answer
		})
	}
	asking.Wait()
	return answers
}
