package containers

import (
	"context"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// act resolves ref, lets the container's node do something, and returns when
// the result shows here.
func (s *Service) act(ctx context.Context, a model.Account, ref string, do func(wire.Agent, model.Container) (wire.Ack, error)) error {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return err
	}
	defer leave()
	c, err := find(s.store.View(), a.ID, ref)
	if err == nil {
		c, err = s.landed(ctx, c)
	}
	if err != nil {
		return err
	}
	ack, err := do(s.agents.Agent(c.NodeID), c)
	if model.IsKind(err, model.KindNotFound) && c.State.Status == model.StatusDead {
		return model.Errorf(model.KindConflict, "container %s is dead: %s", c.ID, c.State.Error)
	}
	if err != nil {
		return err
	}
	return s.see(ctx, c.NodeID, ack)
}

// Stop implements dockerapi.Containers.
func (s *Service) Stop(ctx context.Context, a model.Account, ref string, r wire.StopRequest) error {
	return s.act(ctx, a, ref, func(n wire.Agent, c model.Container) (wire.Ack, error) { return n.Stop(ctx, c.ID, r) })
}

// Kill implements dockerapi.Containers.
func (s *Service) Kill(ctx context.Context, a model.Account, ref string, r wire.KillRequest) error {
	return s.act(ctx, a, ref, func(n wire.Agent, c model.Container) (wire.Ack, error) { return n.Kill(ctx, c.ID, r) })
}

// Remove implements dockerapi.Containers. When it returns, the name and the
// addresses are free. A dead container that its node does not have, says the
// node, is removed here.
func (s *Service) Remove(ctx context.Context, a model.Account, ref string, r wire.RemoveRequest) error {
	var found model.Container
	err := s.act(ctx, a, ref, func(n wire.Agent, c model.Container) (wire.Ack, error) {
		found = c
		if c.Transfer != nil {
			return wire.Ack{}, errMoves(&c)
		}
		if !ended(c.State.Status) && !r.Force {
			return wire.Ack{}, cannotRemoveRunning(c)
		}
		ack, err := n.Remove(ctx, c.ID, r)
		if model.IsKind(err, model.KindConflict) && !r.Force {
			return ack, cannotRemoveRunning(c)
		}
		if model.IsKind(err, model.KindUnavailable) && c.State.Status == model.StatusDead && s.givenUp(c.NodeID) {
			return wire.Ack{}, nil // nobody will ever answer
		}
		return ack, err
	})
	if err != nil {
		return err
	}
	if found.State.Status == model.StatusDead {
		_, err = s.store.Propose(ctx, command.ForgetContainer{ID: found.ID, Time: time.Now().UTC()})
	} else {
		err = s.gone(ctx, found.ID)
	}
	if err == nil && r.Volumes {
		s.removeAnonymous(ctx, found)
	}
	return err
}

// givenUp reports whether an operator has said that a node does not come back.
func (s *Service) givenUp(nodeID string) bool {
	n, ok := s.store.View().Node(nodeID)
	return ok && n.Lost
}

func cannotRemoveRunning(c model.Container) error {
	switch c.State.Status {
	case model.StatusPaused:
		return model.Errorf(model.KindConflict, "cannot remove container %q: container is paused and must be unpaused first", "/"+c.Name)
	case model.StatusRestarting:
		return model.Errorf(model.KindConflict, "cannot remove container %q: container is restarting: stop the container before removing or force remove", "/"+c.Name)
	}
	return model.Errorf(model.KindConflict, "cannot remove container %q: container is running: stop the container before removing or force remove", "/"+c.Name)
}

// goneDelay bounds how long a removal waits for its end to show, after the
// node's journal has been seen to where the node said that it is done.
const goneDelay = 2 * time.Second

// gone returns when the state does not hold the container any more. A node
// that has lost a container has nothing to say of its end, until reconciliation
// says that it is dead.
func (s *Service) gone(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, goneDelay, errLost)
	defer cancel()
	err := s.store.Wait(ctx, func(v *state.View) (bool, error) {
		_, there := v.Container(id)
		return !there, nil
	})
	if err != nil && context.Cause(ctx) == errLost {
		return errLost
	}
	return err
}

var errLost = model.Errorf(model.KindUnavailable,
	"the node does not have this container any more, and the data center has not recorded its loss yet; try again in a moment")

// Rename implements dockerapi.Containers.
func (s *Service) Rename(ctx context.Context, a model.Account, ref, name string) error {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return err
	}
	defer leave()
	if err := model.CheckContainerName(name); err != nil {
		return err
	}
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return err
	}
	if c.Name == name {
		return model.Errorf(model.KindInvalid, "Renaming a container with the same name as its current name")
	}
	_, err = s.store.Propose(ctx, command.RenameContainer{ID: c.ID, Name: name, Time: time.Now()})
	return err
}

// Resize implements dockerapi.Containers.
func (s *Service) Resize(ctx context.Context, a model.Account, ref string, size wire.TerminalSize) error {
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return err
	}
	return s.agents.Agent(c.NodeID).Resize(ctx, c.ID, size)
}

// Top implements dockerapi.Containers.
func (s *Service) Top(ctx context.Context, a model.Account, ref, psArgs string) (wire.Processes, error) {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return wire.Processes{}, err
	}
	defer leave()
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return wire.Processes{}, err
	}
	return s.agents.Agent(c.NodeID).Top(ctx, c.ID, psArgs)
}
