package raftstore

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

const (
	// MaxHeads is how many heads a data center has at most. More of them make
	// each write slower and protect from nothing that five do not.
	MaxHeads = 5
	// nearlyThere is by how many entries a head may be behind when it is made a
	// voter: less than what comes in while it is.
	nearlyThere = 64
	// inTouch is how long ago a head has answered that counts as alive.
	inTouch = 3 * time.Second
	// firstContact is how long a new leader may take to hear of all heads that
	// live.
	firstContact = time.Second
	// leavePatience is how long a removed head hears nothing of the others until
	// it stops although nobody has said that its vote is not needed any more.
	leavePatience = 10 * time.Second
	leaveInterval = 50 * time.Millisecond
)

// Join lets a head take part, or gives one that does another address. The head
// has no vote until it has all entries, so that one that cannot be reached
// costs nothing. It is the leader's to call and may be repeated: a head that
// has not caught up when ctx ends is KindUnavailable and goes on catching up
// meanwhile. A head that was removed is KindForbidden, one too many
// KindConflict.
func (s *Store) Join(ctx context.Context, id, address string) error {
	if s.View().HeadRemoved(id) {
		return model.Errorf(model.KindForbidden, "head %s was removed from the data center; it can only join again as a new head", id)
	}
	servers := s.servers()
	known := slices.IndexFunc(servers, func(o raft.Server) bool { return o.ID == raft.ServerID(id) })
	switch {
	case known < 0 && len(servers) >= MaxHeads:
		return model.Errorf(model.KindConflict, "the data center has %d heads, which is the most it can have; remove one first", len(servers))
	case known >= 0 && servers[known].Suffrage == raft.Voter && servers[known].Address == raft.ServerAddress(address):
		return nil
	}
	s.peers.forget(raft.ServerID(id))
	if err := s.await(ctx, s.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(address), 0, enqueueTimeout)); err != nil {
		return s.proposeError(err)
	}
	if known >= 0 && servers[known].Suffrage == raft.Voter {
		return nil // it has another address now
	}
	if err := s.caughtUp(ctx, raft.ServerID(id)); err != nil {
		return err
	}
	if err := s.await(ctx, s.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(address), 0, enqueueTimeout)); err != nil {
		return s.proposeError(err)
	}
	return nil
}

// caughtUp waits until a head has nearly all entries.
func (s *Store) caughtUp(ctx context.Context, id raft.ServerID) error {
	for {
		changed := s.peers.changed.next()
		if !s.IsLeader() {
			return s.proposeError(raft.ErrNotLeader)
		}
		f := s.peers.of(id)
		if time.Since(f.contact) < inTouch && f.last+nearlyThere >= s.raft.LastIndex() && f.last > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(inTouch): // the lead may be lost
		case <-ctx.Done():
			return model.WrapError(model.KindUnavailable, ctx.Err(), "the head has not caught up with the others yet; ask again")
		case <-s.failed.ch:
			return s.proposeError(s.failed.err)
		case <-s.stop:
			return s.proposeError(raft.ErrRaftShutdown)
		}
	}
}

// RemoveHead takes a head out for ever. The state says so first, by which the
// head learns of it, whenever it may be. It is the leader's to call, and a
// leader that is to go hands the lead on: then the error is that of a head that
// does not lead, and the next leader is to be asked. It is KindConflict to
// remove the only head, or one without which too few of those that answer are
// left. To repeat it is harmless.
func (s *Store) RemoveHead(ctx context.Context, id string) error {
	if !s.IsLeader() {
		return s.proposeError(raft.ErrNotLeader)
	}
	if err := s.awaitMayRemove(ctx, raft.ServerID(id)); err != nil {
		return err
	}
	if raft.ServerID(id) == s.id {
		if err := s.TransferLeadership(ctx); err != nil {
			return err
		}
		return s.proposeError(raft.ErrNotLeader)
	}
	if _, err := s.Propose(ctx, command.RemoveHead{ID: id}); err != nil {
		return err
	}
	if err := s.tell(ctx, raft.ServerID(id)); err != nil {
		return err
	}
	return s.FinishRemovals(ctx)
}

// tell waits until a head knows that all proposed so far is agreed on, or does
// not seem to be there. What it is sent after that tells it: raft sends nothing
// more to a head without a vote.
func (s *Store) tell(ctx context.Context, id raft.ServerID) error {
	if err := s.Barrier(ctx); err != nil {
		return err
	}
	barrier := s.raft.LastIndex()
	patience := time.NewTimer(inTouch)
	defer patience.Stop()
	for {
		changed := s.peers.changed.next()
		if f := s.peers.of(id); f.last >= barrier || time.Since(f.contact) > inTouch {
			return nil
		}
		select {
		case <-changed:
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return s.proposeError(ctx.Err())
		}
	}
}

// awaitMayRemove is mayRemove with some patience: a leader that has just come to
// lead has not heard of all heads yet.
func (s *Store) awaitMayRemove(ctx context.Context, id raft.ServerID) error {
	patience := time.NewTimer(firstContact)
	defer patience.Stop()
	for {
		changed := s.peers.changed.next()
		err := s.mayRemove(id)
		if err == nil || s.onlyVoter() {
			return err
		}
		select {
		case <-changed:
		case <-patience.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

// mayRemove looks whether the heads that answer would still be a quorum.
func (s *Store) mayRemove(id raft.ServerID) error {
	voters, alive, takesPart := 0, 0, false
	for _, server := range s.servers() {
		switch {
		case server.ID == id:
			takesPart = server.Suffrage == raft.Voter
		case server.Suffrage != raft.Voter:
		default:
			voters++
			if server.ID == s.id || time.Since(s.peers.of(server.ID).contact) < inTouch {
				alive++
			}
		}
	}
	switch {
	case takesPart && voters == 0:
		return model.Errorf(model.KindConflict, "this is the only head; it cannot be removed")
	case takesPart && alive <= voters/2:
		return model.Errorf(model.KindConflict, "only %d of the other %d heads answer; without this one they could not agree on anything. Remove those that do not answer first", alive, voters)
	}
	return nil
}

// FinishRemovals takes away the votes of heads that have been removed. A new
// leader calls it, as its predecessor may have died in between.
func (s *Store) FinishRemovals(ctx context.Context) error {
	v := s.View()
	for _, server := range s.servers() {
		if server.ID == s.id || !v.HeadRemoved(string(server.ID)) {
			continue
		}
		if err := s.await(ctx, s.raft.RemoveServer(server.ID, 0, enqueueTimeout)); err != nil {
			return s.proposeError(err)
		}
	}
	return nil
}

// leave ends this head's part after it was removed. Its vote may be needed until
// the others have agreed to do without it, which they tell it or, if they are
// quick, do not.
func (s *Store) leave() {
	tick := time.NewTicker(leaveInterval)
	defer tick.Stop()
	heard := time.Now()
	for slices.ContainsFunc(s.servers(), func(o raft.Server) bool { return o.ID == s.id }) {
		if contact := s.raft.LastContact(); contact.After(heard) {
			heard = contact
		}
		if time.Since(heard) > leavePatience {
			break
		}
		select {
		case <-tick.C:
		case <-s.stop:
			return
		case <-s.failed.ch:
			return
		}
		if s.IsLeader() {
			s.handOn() // whoever leads next finishes the removal
		}
	}
	// A head that starts again does not know what was agreed on until it is told.
	if err := s.disk.store.marker.set(func(m *mark) { m.Removed = true }, true); err != nil {
		s.log.Error("cannot write down that this head is removed", slog.String("op", "leave"), slog.Any("err", err))
	}
	s.failed.fail(ErrRemoved)
}

// servers is the latest configuration, voters and others.
func (s *Store) servers() []raft.Server { return s.raft.GetConfiguration().Configuration().Servers }
