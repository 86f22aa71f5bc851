package containers

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Movable returns nil if a container can be started on another node when its
// own is gone, and why not if it cannot.
func Movable(c *model.Container) error {
	switch {
	case !c.Spec.Reschedules():
		return model.Errorf(model.KindConflict, "its owner did not ask for it")
	case c.Phase != model.PhaseCreated:
		return model.Errorf(model.KindConflict, "it does not exist yet")
	case c.Spec.AutoRemove:
		return model.Errorf(model.KindConflict, "it is to be removed when it ends")
	case slices.ContainsFunc(c.Spec.Mounts, func(m model.Mount) bool { return m.Type == model.MountVolume }):
		return model.Errorf(model.KindConflict, "its volumes are on the node that is gone")
	}
	for _, mode := range []string{c.Spec.Network, c.Spec.PidMode, c.Spec.IpcMode} {
		if strings.HasPrefix(mode, "container:") {
			return model.Errorf(model.KindConflict, "it shares what another container has on the node that is gone")
		}
	}
	return nil
}

// Move gives a container whose node is gone, which the caller has made sure of,
// to another one: one entry, after which Remake has it made there. It keeps its
// name and addresses. Only the leader may call it. The rules of affinity that
// it was created with do not count any more.
func (s *Service) Move(ctx context.Context, id string) error {
	from, to, err := s.decideMove(id)
	if err != nil {
		return err
	}
	_, err = s.decisions.Propose(ctx, command.MoveContainer{
		ID: id, From: from, To: to.NodeID, Generation: to.Generation, Reserved: to.Reserved, Time: time.Now().UTC(),
	})
	s.placing.Lock()
	defer s.placing.Unlock()
	s.fleet.settled(&to)
	return err
}

// decideMove chooses the node and counts what it promises as taken.
func (s *Service) decideMove(id string) (from string, to model.Container, err error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	v := s.store.View()
	c, ok := v.Container(id)
	if !ok {
		return "", c, model.Errorf(model.KindNotFound, "No such container: %s", id)
	}
	if err := Movable(&c); err != nil {
		return "", c, err
	}
	from = c.NodeID
	img, _ := v.Image(c.Spec.ImageID)
	pkg, _ := v.Package(c.Package)
	c.Reserved.Disk = max(c.Reserved.Disk, c.Spec.Limits.Disk)
	r, err := s.placementRequest(v, &Intent{Container: c, Platform: img.Architecture, LocalImage: images.Local(v, c.AccountID, img.ID), Traits: wantedTraits(pkg, &c.Spec)})
	if err != nil {
		return "", c, err
	}
	see := s.sight()
	s.fleet.follow(v, see)
	decision, err := s.fleet.choose(r, see)
	if err != nil {
		return "", c, err
	}
	node, ok := v.Node(decision.NodeID)
	if !ok || node.ID == from {
		return "", c, model.Errorf(model.KindExhausted, "no other node can take the container")
	}
	c.NodeID, c.Generation = node.ID, c.Generation+1
	c.Reserved.Disk = placement.DiskNeed(&node, c.Reserved)
	s.fleet.decided(&c)
	return from, c, nil
}

// wantedTraits are those of the package, and of the container's own label.
func wantedTraits(pkg model.Package, spec *model.ContainerSpec) []string {
	traits := slices.Clone(pkg.Traits)
	for trait := range strings.SplitSeq(spec.Labels[traitsLabel], ",") {
		if trait = strings.TrimSpace(trait); trait != "" {
			traits = append(traits, trait)
		}
	}
	return traits
}

// Remake finishes a container's way to its new node: it is made there, started
// if it ran, and then it has arrived. It may be repeated.
func (s *Service) Remake(ctx context.Context, id string) error {
	v := s.store.View()
	c, ok := v.Container(id)
	if !ok || c.Move == nil {
		return nil
	}
	r, err := s.remakeRequest(ctx, v, c)
	if err != nil {
		return err
	}
	agent := s.agents.Agent(c.NodeID)
	ack, err := agent.Create(ctx, r)
	if err != nil {
		return err
	}
	if err := failpoint.Hit("head.move.made"); err != nil {
		return err
	}
	if c.Move.Start {
		ack, err = agent.Start(ctx, c.ID)
		if err != nil && !model.IsKind(err, model.KindNotModified) {
			return err
		}
	}
	if err := s.see(ctx, c.NodeID, ack); err != nil {
		return err
	}
	_, err = s.store.Propose(ctx, command.SettleMove{ID: c.ID, Generation: c.Generation})
	return err
}

// remakeRequest lets the new node have the image, and says what it is to make.
func (s *Service) remakeRequest(ctx context.Context, v *state.View, c model.Container) (wire.CreateRequest, error) {
	account, ok := v.Account(c.AccountID)
	if !ok {
		return wire.CreateRequest{}, model.Errorf(model.KindNotFound, "the container's account is gone")
	}
	img, ok := v.Image(c.Spec.ImageID)
	if !ok {
		return wire.CreateRequest{}, model.Errorf(model.KindNotFound, "the container's image is gone")
	}
	if err := s.images.Ensure(ctx, account.ID, img, c.NodeID); err != nil {
		return wire.CreateRequest{}, err
	}
	return wire.CreateRequest{
		Container: c, Networks: networksOf(v, &c), Account: wire.AccountRef{ID: account.ID, Login: account.Login, Policy: account.Policy},
	}, nil
}
