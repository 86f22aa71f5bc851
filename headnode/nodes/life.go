package nodes

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

const (
	// signInterval is between two questions whether a node lives.
	signInterval = 2 * time.Second
	signTimeout  = 1200 * time.Millisecond
	// silentAfter is how many questions in a row a node may not answer in time
	// and count as connected: it is gone within six seconds. Questions are
	// counted and not time, which also passes while this head itself is held up.
	silentAfter = 3
	// rememberedBoots is how many starts of an agent are told apart.
	rememberedBoots = 4
)

// Watch asks all approved nodes for signs of life until ctx ends, and returns
// when every watcher has stopped. Each head does so by itself: only a
// connection that it holds is believed.
func (s *Set) Watch(ctx context.Context) { s.each(ctx, s.watch) }

// watch asks one node until ctx ends.
func (s *Set) watch(ctx context.Context, nodeID string) {
	log := s.Logger.With(slog.String("node", nodeID))
	retry := firstRetry
	for ctx.Err() == nil {
		wait := signInterval - rand.N(signInterval/4) // so that nodes are not asked all at once
		if err := s.sign(ctx, nodeID, log); err != nil {
			wait, retry = retry, min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.doubted(nodeID):
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// sign asks once. A node that cannot be reached is gone at once; one that does
// not answer in time is, when it has been silent for long enough.
func (s *Set) sign(ctx context.Context, nodeID string, log *slog.Logger) error {
	asking, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	life, err := s.dialled(nodeID).Life(asking)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	defer s.tried()
	if err != nil {
		late := isLate(err)
		s.update(nodeID, func(n *node) {
			n.missed++
			if late && n.missed < silentAfter || n.tried && !n.answers {
				return
			}
			log.Warn("node does not answer", slog.Any("err", err))
			n.lost()
		})
		return err
	}
	s.update(nodeID, func(n *node) {
		if !n.answers {
			log.Info("node answers")
		}
		if n.started(life.Boot) {
			log.Error("two agents answer with this node's identity, by turns; one of the machines is a copy of the other")
		}
		n.tried, n.answers, n.missed, n.seen = true, true, 0, time.Now()
	})
	return nil
}

// tried wakes Settled.
func (s *Set) tried() {
	select {
	case s.tries <- struct{}{}:
	default:
	}
}

// lost ends the calls that wait for a node which has gone: nobody knows when
// they would be answered.
func (n *node) lost() {
	n.tried, n.answers = true, false
	if c, ok := n.agent.(interface{ Abandon() }); ok {
		c.Abandon()
	}
}

// started notes a start of the node's agent, and reports whether it is one
// that another start had followed already: then there are two of them.
func (n *node) started(boot string) bool {
	known := slices.Index(n.boots, boot)
	if known == 0 && len(n.boots) > 0 {
		return false
	}
	n.boots = slices.Insert(n.boots, 0, boot)
	n.boots = n.boots[:min(len(n.boots), rememberedBoots)]
	if known < 0 {
		return false
	}
	n.doubled = time.Now()
	return true
}

// isLate reports whether a question was not answered in time, whoever noticed
// that first.
func isLate(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// Settled returns when every approved node has been asked for a sign of life,
// and has answered or not, since this head started; or when ctx ends.
func (s *Set) Settled(ctx context.Context) {
	for !s.settled() {
		select {
		case <-s.tries:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Set) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, registered := range s.Store.View().Nodes() {
		if n := s.nodes[registered.ID]; registered.Approved && registered.Address != "" && (n == nil || !n.tried) {
			return false
		}
	}
	return true
}

// doubt lets the node be asked for a sign of life now: something else has
// shown that it may be gone.
func (n *node) doubt() {
	select {
	case n.doubts <- struct{}{}:
	default:
	}
}

// doubted receives doubts of a node.
func (s *Set) doubted(nodeID string) (doubts <-chan struct{}) {
	s.update(nodeID, func(n *node) { doubts = n.doubts })
	return doubts
}

// doubledFor is how long a node counts as doubled after two agents were told
// apart last.
const doubledFor = time.Minute

// Doubled reports whether two agents have lately answered with the node's
// identity.
func (s *Set) Doubled(nodeID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[nodeID]
	return n != nil && !n.doubled.IsZero() && time.Since(n.doubled) < doubledFor
}
