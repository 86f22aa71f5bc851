package wiretest

import (
	"context"
	"io"
	"strings"

	"github.com/spearheadcloud/spearhead/internal/treesync"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// OfferContainer implements wire.Agent.
func (a *Agent) OfferContainer(_ context.Context, id string, _ wire.OfferRequest) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := a.get(id)
	return err
}

// DepartContainer implements wire.Agent.
func (a *Agent) DepartContainer(ctx context.Context, id string, r wire.StopRequest) (wire.Ack, error) {
	if err := a.setDeparting(id, true); err != nil {
		return wire.Ack{}, err
	}
	ack, err := a.Stop(ctx, id, r)
	if model.IsKind(err, model.KindNotModified) {
		err = nil
	}
	return ack, err
}

// StayContainer implements wire.Agent.
func (a *Agent) StayContainer(ctx context.Context, id string, r wire.StayRequest) (wire.Ack, error) {
	if err := a.setDeparting(id, false); err != nil || !r.Start {
		return wire.Ack{}, err
	}
	ack, err := a.Start(ctx, id)
	if model.IsKind(err, model.KindNotModified) {
		err = nil
	}
	return ack, err
}

func (a *Agent) setDeparting(id string, departing bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err == nil {
		c.departing = departing
	}
	return err
}

// FetchContainer implements wire.Agent: there is nobody to fetch from.
func (a *Agent) FetchContainer(_ context.Context, r wire.FetchRequest) (wire.Fetched, error) {
	return wire.Fetched{}, model.Errorf(model.KindUnavailable, "node %s cannot be reached", r.From.NodeID)
}

// FetchProgress implements wire.Agent.
func (a *Agent) FetchProgress(_ context.Context, id string) (wire.Fetched, error) {
	return wire.Fetched{}, model.Errorf(model.KindNotFound, "container %s does not come to this node", id)
}

// ArriveContainer implements wire.Agent.
func (a *Agent) ArriveContainer(_ context.Context, r wire.CreateRequest) (wire.Ack, error) {
	return wire.Ack{}, model.Errorf(model.KindConflict, "container %s was not fetched", r.Container.ID)
}

// departuresHold checks that what departs is not started by anybody.
func (s *suite) departuresHold() {
	id := s.started()
	s.ok(s.agent.OfferContainer(s.ctx, id, wire.OfferRequest{To: "other"}))
	for range 2 {
		_, err := s.agent.DepartContainer(s.ctx, id, wire.StopRequest{})
		s.ok(err)
	}
	if _, err := s.agent.Start(s.ctx, id); !model.IsKind(err, model.KindConflict) {
		s.Errorf("start of a container that departs: %v", err)
	}
	_, err := s.agent.StayContainer(s.ctx, id, wire.StayRequest{Start: true})
	s.ok(err)
	if _, err := s.agent.Start(s.ctx, id); !model.IsKind(err, model.KindNotModified) {
		s.Errorf("start of a container that stays: %v", err)
	}
	none := model.NewID()
	offered := s.agent.OfferContainer(s.ctx, none, wire.OfferRequest{To: "other"})
	_, departed := s.agent.DepartContainer(s.ctx, none, wire.StopRequest{})
	_, stays := s.agent.StayContainer(s.ctx, none, wire.StayRequest{})
	_, progress := s.agent.FetchProgress(s.ctx, none)
	for what, err := range map[string]error{"offer": offered, "departure": departed, "stay": stays, "progress": progress} {
		if !model.IsKind(err, model.KindNotFound) {
			s.Errorf("%s of no container: %v", what, err)
		}
	}
	_, err = s.agent.ArriveContainer(s.ctx, wire.CreateRequest{Container: model.Container{ID: none, Generation: 1}})
	if !model.IsKind(err, model.KindConflict) {
		s.Errorf("arrival of what was not fetched: %v", err)
	}
}

// OfferedTree implements wire.Origin: it answers with who asks for what.
func (a *Agent) OfferedTree(ctx context.Context, id, part string) (io.ReadCloser, error) {
	return told(wire.Caller(ctx), id, part)
}

// OfferedFiles implements wire.Origin.
func (a *Agent) OfferedFiles(ctx context.Context, id, part string, wants []treesync.Want) (io.ReadCloser, error) {
	return told(append([]string{wire.Caller(ctx), id, part}, string(wants[0].Path))...)
}

// OfferedSnapshots implements wire.Origin.
func (a *Agent) OfferedSnapshots(ctx context.Context, id, volume string) ([]string, error) {
	return []string{wire.Caller(ctx), id, volume}, nil
}

// OfferedStream implements wire.Origin.
func (a *Agent) OfferedStream(ctx context.Context, id, volume string, r wire.SendVolumeRequest) (io.ReadCloser, error) {
	return told(wire.Caller(ctx), id, volume, r.Snapshot, r.Base)
}

func told(parts ...string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(strings.Join(parts, " "))), nil
}
