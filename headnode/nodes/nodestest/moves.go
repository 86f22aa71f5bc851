package nodestest

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// moved is what a node knows of a container that goes or comes.
type moved struct {
	content   string // of its files
	offered   string // the node that may read them
	departing bool
	arriving  bool
	fetched   int
}

// Meet lets the node fetch containers from another one, by its id.
func (a *Agent) Meet(id string, other *Agent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.others == nil {
		a.others = map[string]*Agent{}
	}
	a.others[id] = other
}

// Write puts something into a container's files.
func (a *Agent) Write(id, content string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.containers[id]; c != nil {
		c.moved.content = content
	}
}

// Content is what a container's files hold, "" where the node does not have it.
func (a *Agent) Content(id string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.containers[id]; c != nil {
		return c.moved.content
	}
	return ""
}

// Runs reports whether a container runs on the node.
func (a *Agent) Runs(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.containers[id]
	return c != nil && c.state.Status.Running()
}

// FailMove makes each call of a move fail that fail returns an error for, by
// the call's name; nil lets all succeed.
func (a *Agent) FailMove(fail func(call string) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failMove = fail
}

// moves takes the lock for a call of a move; without an error the caller unlocks.
func (a *Agent) moves(call string) error {
	if err := a.enter(); err != nil {
		return err
	}
	if a.failMove != nil {
		if err := a.failMove(call); err != nil {
			a.mu.Unlock()
			return err
		}
	}
	return nil
}

// OfferContainer implements wire.Agent.
func (a *Agent) OfferContainer(_ context.Context, id string, r wire.OfferRequest) error {
	if err := a.moves("offer"); err != nil {
		return err
	}
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return err
	}
	c.moved.offered = r.To
	return nil
}

// DepartContainer implements wire.Agent.
func (a *Agent) DepartContainer(_ context.Context, id string, _ wire.StopRequest) (wire.Ack, error) {
	if err := a.moves("depart"); err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	c.moved.departing = true
	if c.state.Status.Running() {
		return a.die(c, 143), nil
	}
	return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.journal))}, nil
}

// StayContainer implements wire.Agent.
func (a *Agent) StayContainer(_ context.Context, id string, r wire.StayRequest) (wire.Ack, error) {
	if err := a.moves("stay"); err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	c.moved.departing, c.moved.offered = false, ""
	if r.Start && !c.state.Status.Running() {
		for _, joined := range c.spec.Spec.Joins() {
			if other := a.containers[joined]; other == nil || !other.state.Status.Running() {
				return wire.Ack{}, model.Errorf(model.KindConflict, "cannot join a namespace of a non running container: %s", joined)
			}
		}
		return a.start(c), nil
	}
	return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.journal))}, nil
}

// FetchContainer implements wire.Agent.
func (a *Agent) FetchContainer(_ context.Context, r wire.FetchRequest) (wire.Fetched, error) {
	if err := a.moves("fetch"); err != nil {
		return wire.Fetched{}, err
	}
	other := a.others[r.From.NodeID]
	a.mu.Unlock()
	if other == nil {
		return wire.Fetched{}, errCut
	}
	c := r.Create.Container
	if err := other.enter(); err != nil {
		return wire.Fetched{}, err
	}
	from, err := other.get(c.ID)
	content, allowed := "", false
	if err == nil {
		content, allowed = from.moved.content, from.moved.offered == c.NodeID
	}
	other.mu.Unlock()
	if !allowed {
		return wire.Fetched{}, model.Errorf(model.KindForbidden, "the container was not offered")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	here := a.containers[c.ID]
	switch {
	case here == nil:
		here = &container{spec: c, state: model.ContainerState{Status: model.StatusCreated}}
		here.moved.arriving = true
		a.containers[c.ID] = here
	case !here.moved.arriving || here.spec.Generation != c.Generation:
		return wire.Fetched{}, model.Errorf(model.KindConflict, "an earlier copy of container %s is here still", c.ID)
	}
	a.makeVolumes(r.Create.Volumes)
	here.moved.content = content
	here.moved.fetched += len(content)
	return wire.Fetched{Bytes: int64(len(content)), Files: 1}, nil
}

// FetchProgress implements wire.Agent.
func (a *Agent) FetchProgress(_ context.Context, id string) (wire.Fetched, error) {
	c, err := a.open(id)
	if err != nil {
		return wire.Fetched{}, err
	}
	defer a.mu.Unlock()
	return wire.Fetched{Bytes: int64(c.moved.fetched)}, nil
}

// ArriveContainer implements wire.Agent.
func (a *Agent) ArriveContainer(_ context.Context, r wire.CreateRequest) (wire.Ack, error) {
	if err := a.moves("arrive"); err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	c := a.containers[r.Container.ID]
	if c == nil || c.spec.Generation != r.Container.Generation {
		return wire.Ack{}, model.Errorf(model.KindConflict, "container %s was not fetched", r.Container.ID)
	}
	if c.moved.arriving {
		c.moved.arriving, c.spec, c.state = false, r.Container, r.Container.State
	}
	return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.journal))}, nil
}
