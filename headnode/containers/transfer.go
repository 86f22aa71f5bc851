package containers

import (
	"context"
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

// PlaceTransfer chooses the node for a container that is to be moved, and
// records it. Only the leader may call it. The rules of affinity that the
// container was created with count.
func (s *Service) PlaceTransfer(ctx context.Context, id string) error {
	for try := 1; ; try++ {
		way, to, err := s.decideTransfer(id)
		if err != nil {
			return err
		}
		_, err = s.decisions.Propose(ctx, command.StepTransfer{
			ID: id, Operation: way.Operation, Step: model.TransferCopying, To: to.NodeID, Reserved: to.Reserved,
		})
		s.placing.Lock()
		s.fleet.settled(&to)
		s.placing.Unlock()
		if err == nil || try == reserveTries || !model.IsKind(err, model.KindConflict) && !model.IsKind(err, model.KindExhausted) {
			return err
		}
	}
}

// decideTransfer chooses the node and counts what it promises as taken.
func (s *Service) decideTransfer(id string) (way model.Transfer, to model.Container, err error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	v := s.store.View()
	c, ok := v.Container(id)
	if !ok || c.Transfer == nil || c.Transfer.Step != model.TransferAsked {
		return way, c, model.Errorf(model.KindConflict, "the move of the container is over")
	}
	see := s.sight()
	s.fleet.follow(v, see)
	if to, err = s.chooseTransfer(v, see, c, c.Transfer.Node); err != nil {
		return way, to, err
	}
	s.fleet.decided(&to)
	return *c.Transfer, to, nil
}

// chooseTransfer returns the container as it would be on its new node, with its
// volumes among what it reserves there. The caller holds placing.
func (s *Service) chooseTransfer(v *state.View, see sight, c model.Container, nodeID string) (model.Container, error) {
	r, err := s.transferRequest(v, c)
	if err != nil {
		return c, err
	}
	r.NodeID = nodeID
	decision, err := s.fleet.choose(r, see)
	if err != nil {
		return c, err
	}
	node, ok := v.Node(decision.NodeID)
	if !ok {
		return c, model.Errorf(model.KindInternal, "cannot move a container: the chosen node is unknown")
	}
	c.NodeID, c.Generation = node.ID, c.Generation+1
	c.Reserved.Disk = placement.DiskNeed(&node, r.Need) + r.VolumeDisk
	return c, nil
}

// transferRequest is what placement decides on: what the container needs, its
// volumes with it, on another node that keeps files as its own does and has
// nothing old of it.
func (s *Service) transferRequest(v *state.View, c model.Container) (placement.Request, error) {
	from, ok := v.Node(c.NodeID)
	if !ok {
		return placement.Request{}, model.Errorf(model.KindConflict, "the container's node was removed")
	}
	rules, _, _, err := affinity.Take(nil, c.Spec.Labels)
	if err != nil {
		rules = nil // it was made when rules were read in another way
	}
	for _, except := range append(formerNodes(v, &c), from.Name) {
		rules = append(rules, "node!="+except)
	}
	img, _ := v.Image(c.Spec.ImageID)
	pkg, _ := v.Package(c.Package)
	bare := c // its volumes come along
	bare.Spec.Mounts = nil
	bare.Reserved.Disk = max(c.Reserved.Disk, c.Spec.Limits.Disk)
	r, err := s.placementRequest(v, &Intent{
		Container: bare, Platform: img.Architecture, LocalImage: images.Local(v, c.AccountID, img.ID), Traits: wantedTraits(pkg, &c.Spec),
	})
	if err != nil {
		return r, err
	}
	r.Storage = from.Info.Storage
	for _, vol := range v.VolumesOf(&c) {
		r.VolumeDisk += vol.Size
	}
	r.Beside = slices.DeleteFunc(slices.Clone(r.Beside), func(o *model.Container) bool { return o.ID == c.ID })
	parsed, err := affinity.ParseAll(rules)
	if err != nil {
		return r, err
	}
	r.Demands, err = affinity.Resolve(parsed, r.Beside)
	return r, err
}

// formerNodes are the names of the nodes that may have an old copy of c, or of
// a volume of its.
func formerNodes(v *state.View, c *model.Container) (names []string) {
	add := func(nodeID string) {
		if n, ok := v.Node(nodeID); ok && !slices.Contains(names, n.Name) {
			names = append(names, n.Name)
		}
	}
	for _, f := range c.Former {
		add(f.NodeID)
	}
	for _, vol := range v.VolumesOf(c) {
		for _, copied := range vol.Copies {
			add(copied.NodeID)
		}
	}
	return names
}

// PlannedMove is where a container of a node that is to be emptied would go.
type PlannedMove struct {
	Container *model.Container
	To        string // id of the node
	Reason    error  // why it cannot go; To is "" then
}

// PlanMoves shows where the containers of a node would go if they were moved
// now, one after the other, as this head sees the nodes. It reserves nothing.
func (s *Service) PlanMoves(nodeID string) []PlannedMove {
	s.placing.Lock()
	defer s.placing.Unlock()
	v := s.store.View()
	see := s.sight()
	s.fleet.follow(v, see)
	s.fleet.look(see)
	var planned []PlannedMove
	var counted []*model.Container
	for _, c := range v.ContainersOnNode(nodeID) {
		p := PlannedMove{Container: c}
		to, err := model.Container{}, v.CheckTransfer(c)
		if err == nil {
			to, err = s.chooseTransfer(v, see, *c, "")
		}
		if p.Reason = err; err == nil {
			p.To = to.NodeID
			s.fleet.decided(&to) // so that the next one finds less
			counted = append(counted, &to)
		}
		planned = append(planned, p)
	}
	for _, c := range counted {
		s.fleet.settled(c)
	}
	return planned
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
	for _, vol := range v.VolumesOf(&c) {
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
