package nodes

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

const (
	firstRetry  = 100 * time.Millisecond
	lastRetry   = 2 * time.Second
	infoTimeout = 10 * time.Second
	// acknowledgeAfter entries, or so much time, the stream is opened again,
	// which lets the node forget what is committed.
	acknowledgeAfter = 4096
	acknowledgeEvery = time.Minute
	maxBatch         = 512 // entries in one commit
)

// Follow follows the journals of all approved nodes until ctx ends, and
// returns when every follower has stopped. Only the leader may call it, once
// at a time.
func (s *Set) Follow(ctx context.Context) { s.each(ctx, s.follow) }

// follow keeps one node's journal until ctx ends.
func (s *Set) follow(ctx context.Context, nodeID string) {
	log := s.Logger.With(slog.String("node", nodeID))
	s.update(nodeID, func(n *node) { n.following = time.Now() })
	defer s.update(nodeID, func(n *node) { n.following, n.journal = time.Time{}, false })
	retry := firstRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := s.session(ctx, nodeID, log)
		s.update(nodeID, func(n *node) {
			n.journal = false
			n.doubt()
		})
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > lastRetry {
			retry = firstRetry
		}
		log.Log(ctx, s.absence(nodeID), "the journal of a node cannot be followed", slog.Any("err", err), slog.Duration("retry", retry))
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// absence is how loud a node's absence is told: one that was never seen is
// just not there yet.
func (s *Set) absence(nodeID string) slog.Level {
	if _, seen := s.Seen(nodeID); seen.IsZero() {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// session is one connection: it learns what the node is, follows its journal,
// and beside that lets the connection be reconciled.
func (s *Set) session(ctx context.Context, nodeID string, log *slog.Logger) error {
	agent := s.dialled(nodeID)
	if err := s.learn(ctx, nodeID, agent); err != nil {
		return err
	}
	if err := s.resync(ctx, nodeID, agent); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	connected := false
	for {
		err := s.read(ctx, nodeID, agent, func() {
			if connected {
				return
			}
			connected = true
			log.Info("the journal of a node is followed")
			if s.Config.Connected != nil {
				beside.Go(func() { s.Config.Connected(ctx, Connection{NodeID: nodeID, Agent: agent, set: s}) })
			}
		})
		switch {
		case errors.Is(err, errAcknowledge):
		case model.IsKind(err, model.KindConflict):
			return s.forget(ctx, nodeID, err)
		default:
			return err
		}
	}
}

// dialled is the node's agent also while it counts as lost.
func (s *Set) dialled(nodeID string) (a wire.Agent) {
	a = unreachable{}
	s.update(nodeID, func(n *node) { a = n.agent })
	return a
}

// learn records what the agent says of its machine, if it is news.
func (s *Set) learn(ctx context.Context, nodeID string, agent wire.Agent) error {
	infoCtx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	info, err := agent.Info(infoCtx)
	if err != nil {
		return err
	}
	if n, ok := s.Store.View().Node(nodeID); ok && sameInfo(n.Info, info) {
		return nil
	}
	_, err = s.Store.Propose(ctx, command.SetNodeInfo{NodeID: nodeID, Info: info})
	return err
}

var errAcknowledge = errors.New("the stream is to be opened again, as an acknowledgement")

// read commits a node's journal from where the state has it, until the stream
// fails or has carried enough to be acknowledged. began is called when the
// stream is there.
func (s *Set) read(ctx context.Context, nodeID string, agent wire.Agent, began func()) error {
	n, ok := s.Store.View().Node(nodeID)
	if !ok {
		return model.Errorf(model.KindNotFound, "the node is not in the data center any more")
	}
	ctx, stop := context.WithCancel(ctx)
	stream, err := agent.Journal(ctx, wire.Ack{Epoch: n.JournalEpoch, Seq: n.JournalSeq})
	if err != nil {
		stop()
		return err
	}
	batches := make(chan []model.JournalEntry, 64)
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(batches)
		failed = s.receive(ctx, nodeID, stream, batches)
	})
	defer func() { // closing the stream ends a read that waits
		stop()
		stream.Close()
		for range batches {
		}
		reading.Wait()
	}()
	s.update(nodeID, (*node).told)
	began()
	err = s.commit(ctx, n, stream.Epoch(), batches)
	if err == nil { // the reader has closed batches after setting failed
		err = failed
	}
	return err
}

// receive passes on what the stream says. An empty batch is a sign of life.
func (s *Set) receive(ctx context.Context, nodeID string, stream wire.JournalStream, batches chan<- []model.JournalEntry) error {
	for {
		entries, err := stream.Next()
		if err != nil {
			return err
		}
		s.update(nodeID, (*node).told)
		select {
		case batches <- entries:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// commit puts batches of the journal of n, as it was when the stream began, into
// the replicated state, as many at once as are there. It returns nil when there
// are no more.
func (s *Set) commit(ctx context.Context, n model.Node, epoch string, batches <-chan []model.JournalEntry) error {
	nodeID, opened, committed := n.ID, time.Now(), 0
	for entries := range batches {
		entries = gather(entries, batches)
		if len(entries) == 0 {
			s.update(nodeID, (*node).atEnd)
			if now, ok := s.Store.View().Node(nodeID); ok && now.JournalEpoch == "" && (n.JournalEpoch != "" || committed > 0) {
				return errRestored
			}
			if committed > 0 && time.Since(opened) > acknowledgeEvery {
				return errAcknowledge
			}
			continue
		}
		if _, err := s.Store.Propose(ctx, command.CommitJournal{NodeID: nodeID, Epoch: epoch, Entries: entries}); err != nil {
			return err
		}
		if committed += len(entries); committed >= acknowledgeAfter {
			return errAcknowledge
		}
	}
	return nil
}

// gather adds to entries the batches that wait already.
func gather(entries []model.JournalEntry, batches <-chan []model.JournalEntry) []model.JournalEntry {
	for len(entries) > 0 && len(entries) < maxBatch {
		select {
		case more, ok := <-batches:
			if !ok {
				return entries
			}
			entries = append(entries, more...)
		default:
			return entries
		}
	}
	return entries
}
