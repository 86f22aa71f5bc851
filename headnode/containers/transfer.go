package containers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// PlaceTransfer chooses the node for a container that is to be moved, and for
// all that go with it, and records it. Only the leader may call it. The rules of
// affinity that they were created with count.
func (s *Service) PlaceTransfer(ctx context.Context, id string) error {
	for try := 1; ; try++ {
		way, to, err := s.decideTransfer(id)
		var none *placement.NoNodeError
		if errors.As(err, &none) && none.Passing() {
			return model.WrapError(model.KindUnavailable, err, "%s", model.UserText(err))
		}
		if err != nil {
			return err
		}
		_, err = s.decisions.Propose(ctx, placeStep(id, way, to))
		s.placing.Lock()
		s.fleet.settledAll(to)
		s.placing.Unlock()
		if err == nil || try == reserveTries || !model.IsKind(err, model.KindConflict) && !model.IsKind(err, model.KindExhausted) {
			return err
		}
	}
}

// placeStep records where containers go that are as in to from then on.
func placeStep(id string, way model.Transfer, to []model.Container) command.StepTransfer {
	step := command.StepTransfer{ID: id, Operation: way.Operation, Step: model.TransferCopying, To: to[0].NodeID}
	for i := range to {
		if to[i].ID == id {
			step.Reserved = to[i].Reserved
			continue
		}
		if step.Others == nil {
			step.Others = map[string]model.Resources{}
		}
		step.Others[to[i].ID] = to[i].Reserved
	}
	return step
}

// decideTransfer chooses the node and counts what it promises as taken.
func (s *Service) decideTransfer(id string) (way model.Transfer, to []model.Container, err error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	v := s.store.View()
	c, ok := v.Container(id)
	if !ok || c.Transfer == nil || c.Transfer.Step != model.TransferAsked {
		return way, nil, model.Errorf(model.KindConflict, "the move of the container is over")
	}
	way = *c.Transfer
	var group []model.Container
	for _, member := range way.Company(id) {
		if c, ok := v.Container(member); ok {
			group = append(group, c)
		}
	}
	see := s.sight()
	s.fleet.follow(v, see)
	if to, err = s.chooseTransfer(v, see, group, way.Node); err != nil {
		return way, to, err
	}
	s.fleet.decidedAll(to)
	return way, to, nil
}

// chooseTransfer returns the containers as they would be on their new node, with
// the volumes that each brings among what it reserves there. The caller holds
// placing.
func (s *Service) chooseTransfer(v *state.View, see sight, group []model.Container, nodeID string) ([]model.Container, error) {
	r, err := s.transferRequest(v, group)
	if err != nil {
		return nil, err
	}
	r.NodeID = nodeID
	decision, err := s.fleet.choose(r, see)
	if err != nil {
		return nil, err
	}
	node, ok := v.Node(decision.NodeID)
	if !ok {
		return nil, model.Errorf(model.KindInternal, "cannot move a container: the chosen node is unknown")
	}
	to := slices.Clone(group)
	for i := range to {
		c := &to[i]
		volumes := broughtSize(v, &group[i])
		c.NodeID, c.Generation = node.ID, c.Generation+1
		c.Reserved.Disk = placement.DiskNeed(&node, model.Resources{Disk: diskOf(c)}) + volumes
	}
	return to, nil
}

// diskOf is how much its root takes of a node that holds containers to a size.
func diskOf(c *model.Container) int64 { return max(c.Reserved.Disk, c.Spec.Limits.Disk) }

// broughtSize is how much the volumes may hold that c brings along.
func broughtSize(v *state.View, c *model.Container) (size int64) {
	for _, vol := range v.VolumesBrought(c) {
		size += vol.Size
	}
	return size
}

// transferRequest is what placement decides on: what the containers need, their
// volumes with them, on another node that keeps files as their own does and has
// nothing old of them.
func (s *Service) transferRequest(v *state.View, group []model.Container) (placement.Request, error) {
	from, ok := v.Node(group[0].NodeID)
	if !ok {
		return placement.Request{}, model.Errorf(model.KindConflict, "the container's node was removed")
	}
	var r placement.Request
	var former []string
	for i := range group {
		own, err := s.memberRequest(v, group[i])
		if err != nil {
			return r, err
		}
		own.VolumeDisk = broughtSize(v, &group[i])
		former = append(former, formerNodes(v, &group[i])...)
		if i == 0 {
			r = own
			continue
		}
		r.Join(&own)
	}
	r.Storage, r.Left, r.Former = from.Info.Storage, from.ID, former
	isMember := func(o *model.Container) bool {
		return slices.ContainsFunc(group, func(c model.Container) bool { return c.ID == o.ID })
	}
	r.Beside = slices.DeleteFunc(slices.Clone(r.Beside), isMember)
	var err error
	r.Demands, err = groupDemands(group, r.Beside)
	return r, err
}

// memberRequest is what one container needs of a node, whatever it shares.
func (s *Service) memberRequest(v *state.View, c model.Container) (placement.Request, error) {
	img, _ := v.Image(c.Spec.ImageID)
	pkg, _ := v.Package(c.Package)
	c.Reserved.Disk = diskOf(&c)
	traits := wantedTraits(pkg, &c.Spec)
	c.Spec.Mounts = nil // its volumes come along
	return s.placementRequest(v, &Intent{
		Container: c, Platform: img.Architecture, LocalImage: images.Local(v, c.AccountID, img.ID), Traits: traits,
	})
}

// groupDemands are the rules of affinity of all of a group, of which each counts
// for all, beside the account's other containers.
func groupDemands(group []model.Container, beside []*model.Container) ([]affinity.Demand, error) {
	var demands []affinity.Demand
	for i := range group {
		texts, _, _, err := affinity.Take(nil, group[i].Spec.Labels)
		if err != nil {
			continue // it was made when rules were read in another way
		}
		own, err := demandsBeside(texts, beside, slices.Concat(group[:i], group[i+1:]))
		if err != nil {
			return nil, err
		}
		demands = append(demands, own...)
	}
	return demands, nil
}

// demandsBeside is what rules mean beside containers that stay, without those
// that are kept because what they ask for comes along.
func demandsBeside(texts []string, beside []*model.Container, along []model.Container) ([]affinity.Demand, error) {
	rules, err := affinity.ParseAll(texts)
	if err != nil {
		return nil, err
	}
	comes := make([]*model.Container, len(along))
	for i := range along {
		comes[i] = &along[i]
	}
	rules = slices.DeleteFunc(rules, func(r affinity.Rule) bool {
		return !r.AboutNodes() && !r.Not && !r.Finds(beside) && r.Finds(comes)
	})
	return affinity.Resolve(rules, beside)
}

// formerNodes are the ids of the nodes that may have an old copy of c, or of a
// volume of its.
func formerNodes(v *state.View, c *model.Container) (ids []string) {
	for _, f := range c.Former {
		ids = append(ids, f.NodeID)
	}
	for _, vol := range v.VolumesOf(c) {
		for _, copied := range vol.Copies {
			ids = append(ids, copied.NodeID)
		}
	}
	return ids
}

// ComingRequest is what the node that a container is moved to is to make of it,
// which holds its image when this returns.
func (s *Service) ComingRequest(ctx context.Context, c model.Container) (wire.CreateRequest, error) {
	v := s.store.View()
	if way := c.Transfer; way != nil {
		c.NodeID, c.Generation = way.To, c.Generation+1
	}
	r, err := s.remakeRequest(ctx, v, c)
	if err != nil {
		return r, err
	}
	for _, vol := range v.VolumesBrought(&c) {
		r.Volumes = append(r.Volumes, wire.VolumeRef{ID: vol.ID, Size: vol.Size})
	}
	return r, nil
}

// moveWait bounds how long what is asked of a container waits for it to cross
// from node to node.
const moveWait = 30 * time.Second

// landed returns a container when it is not between two nodes: not stopped for
// its move, and not on its way.
func (s *Service) landed(ctx context.Context, c model.Container) (model.Container, error) {
	crosses := func(c *model.Container) bool { return c.Transfer.Halted() || c.Move != nil && c.Move.Fetched }
	if !crosses(&c) {
		return c, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, moveWait, errMoves(&c))
	defer cancel()
	err := s.store.Wait(ctx, func(v *state.View) (bool, error) {
		now, ok := v.Container(c.ID)
		if !ok {
			return false, model.Errorf(model.KindNotFound, "No such container: %s", c.ID)
		}
		c = now
		return !crosses(&c), nil
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return c, err
}

func errMoves(c *model.Container) error {
	return model.Errorf(model.KindConflict, "container %s is being moved to another node; try again when it is there", c.Name)
}

// See returns when this head's state includes a place in a node's journal.
func (s *Service) See(ctx context.Context, nodeID string, ack wire.Ack) error {
	return s.see(ctx, nodeID, ack)
}
