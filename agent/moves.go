package agent

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// moves is what the agent knows of containers that come, besides their records.
// It ends with the process: heads have them fetched again.
type moves struct {
	mu       sync.Mutex
	arrivals map[string]*arrival // by container
}

func newMoves() *moves {
	return &moves{arrivals: map[string]*arrival{}}
}

// arrivalOf is what is known of a container that comes in a generation.
func (m *moves) arrivalOf(id string, generation int) *arrival {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.arrivals[id]
	if a == nil || a.generation != generation {
		a = newArrival(generation)
		m.arrivals[id] = a
	}
	return a
}

func (m *moves) arrival(id string) *arrival {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.arrivals[id]
}

// forget ends what is under way with a container that leaves the node, or has
// arrived.
func (m *moves) forget(id string) {
	m.mu.Lock()
	a := m.arrivals[id]
	delete(m.arrivals, id)
	m.mu.Unlock()
	if a != nil {
		a.end()
	}
}

// OfferContainer implements wire.Agent.
func (a *Agent) OfferContainer(ctx context.Context, id string, r wire.OfferRequest) error {
	t, err := a.get(id)
	if err != nil {
		return err
	}
	return t.Offer(ctx, r.To)
}

// volumesOf lists the ids of the volumes that a container mounts, each once.
func volumesOf(spec *model.ContainerSpec) (ids []string) {
	for _, m := range spec.Mounts {
		if m.Type == model.MountVolume && !slices.Contains(ids, m.VolumeID) {
			ids = append(ids, m.VolumeID)
		}
	}
	return ids
}

// DepartContainer implements wire.Agent.
func (a *Agent) DepartContainer(ctx context.Context, id string, r wire.StopRequest) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	return t.Depart(ctx, r)
}

// StayContainer implements wire.Agent. Snapshots go last: a container that
// crosses does not wait for it.
func (a *Agent) StayContainer(ctx context.Context, id string, r wire.StayRequest) (wire.Ack, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	ack, err := t.Stay(ctx, r.Start)
	for _, volume := range volumesOf(t.Snapshot().Spec) {
		if unmarked := a.drivers.Volumes.Unmark(ctx, volume); unmarked != nil {
			err = errors.Join(err, unmarked)
		}
	}
	return ack, err
}

// ArriveContainer implements wire.Agent.
func (a *Agent) ArriveContainer(ctx context.Context, r wire.CreateRequest) (wire.Ack, error) {
	t := a.find(r.Container.ID)
	if t == nil {
		return wire.Ack{}, model.Errorf(model.KindConflict, "nothing of container %s was fetched", r.Container.ID)
	}
	ack, err := t.Arrive(ctx, r)
	if err == nil {
		a.moves.forget(r.Container.ID)
	}
	return ack, err
}
