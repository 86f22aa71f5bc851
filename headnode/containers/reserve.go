package containers

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/networks"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// reserveTries bounds how often a decision is made anew that the replicated
// state has refused, because something changed meanwhile.
const reserveTries = 8

// Reserve implements Reserver on the head that leads: it chooses node and
// addresses and commits them in one entry. One decision is made at a time, and
// each sees what those before it have promised, agreed on by the heads or not
// yet. The replicated state checks every promise again, and the rules of
// affinity: what it refuses is decided anew.
func (s *Service) Reserve(ctx context.Context, in Intent) (model.Container, error) {
	began := time.Now()
	c, err := s.place(ctx, in)
	if s.placed != nil {
		s.placed(time.Since(began), err)
	}
	return c, err
}

func (s *Service) place(ctx context.Context, in Intent) (model.Container, error) {
	for try := 1; ; try++ {
		c, made, err := s.decide(&in)
		if err != nil || made {
			return c, err
		}
		_, err = s.decisions.Propose(ctx, command.ReserveContainer{Container: c, Volumes: in.Volumes, Rules: in.Rules})
		s.placing.Lock()
		s.fleet.settled(&c)
		s.placing.Unlock()
		switch {
		case err == nil:
			return reserved(s.store.View(), &in)
		case try == reserveTries, !model.IsKind(err, model.KindConflict) && !model.IsKind(err, model.KindExhausted):
			return model.Container{}, err
		}
	}
}

// reserved is the record that an intent has led to. The operation may have
// made another container before.
func reserved(v *state.View, in *Intent) (model.Container, error) {
	if c, ok := v.Container(in.Container.ID); ok {
		return c, nil
	}
	if c, ok := v.ContainerByOperation(in.Container.AccountID, in.Container.Operation); ok && c.Operation != "" {
		return c, nil
	}
	return model.Container{}, model.Errorf(model.KindUnavailable, "the container could not be created; try again")
}

// decide chooses all that a container is promised and counts it as taken until
// it is settled. It returns true with the record of one that was made already.
func (s *Service) decide(in *Intent) (c model.Container, made bool, err error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	v := s.store.View()
	c = in.Container
	if held, err := reserved(v, in); err == nil {
		return held, true, nil
	}
	if p, ok := s.fleet.pending[c.ID]; ok { // the same intent again, before its first answer
		return *p, false, nil
	}
	if err := s.mayReserve(v, &c); err != nil {
		return c, false, err
	}
	if err := in.checkJoined(v); err != nil {
		return c, false, err
	}
	r, err := s.placementRequest(v, in)
	if err != nil {
		return c, false, err
	}
	see := s.sight()
	s.fleet.follow(v, see)
	decision, err := s.fleet.choose(r, see)
	if err != nil {
		return c, false, err
	}
	node, ok := v.Node(decision.NodeID)
	if !ok {
		return c, false, model.Errorf(model.KindInternal, "cannot reserve container: the chosen node is unknown")
	}
	c.NodeID = node.ID
	c.Reserved.Disk = placement.DiskNeed(&node, c.Reserved)
	if c.NICs, err = s.fleet.nics(v, c.AccountID, c.NICs); err != nil {
		return c, false, err
	}
	if c.Spec.Ports, err = s.fleet.endpointPorts(v, c.Spec.Ports); err != nil {
		return c, false, err
	}
	s.fleet.decided(&c)
	return c, false, nil
}

// mayReserve refuses what needs no decision: a name that is taken, and more
// than the account may have.
func (s *Service) mayReserve(v *state.View, c *model.Container) error {
	if err := v.CheckName(c.AccountID, c.Name); err != nil {
		return err
	}
	if s.fleet.named(c.AccountID, c.Name) {
		return model.Errorf(model.KindConflict, "Conflict. The container name \"/%s\" is being given to another container at this moment; choose another name, or try again.", c.Name)
	}
	a, ok := v.Account(c.AccountID)
	if !ok {
		return model.Errorf(model.KindNotFound, "no such account")
	}
	return v.CheckLimits(&a, c)
}

// checkJoined refuses a node on which those are not any more in whose namespaces
// the container is to live: they have moved since it was chosen.
func (in *Intent) checkJoined(v *state.View) error {
	for _, id := range in.Container.Spec.Joins() {
		if other, ok := v.Container(id); ok && other.NodeID != in.NodeID {
			return model.Errorf(model.KindConflict, "container %s has just moved to another node; try again", other.Name)
		}
	}
	return nil
}

// placementRequest is what placement decides on.
func (s *Service) placementRequest(v *state.View, in *Intent) (placement.Request, error) {
	c := &in.Container
	beside := s.fleet.beside(v, c.AccountID)
	rules, err := affinity.ParseAll(in.Rules)
	if err != nil {
		return placement.Request{}, err
	}
	demands, err := affinity.Resolve(rules, beside)
	if err != nil {
		return placement.Request{}, err
	}
	img, _ := v.Image(c.Spec.ImageID)
	r := placement.Request{
		AccountID: c.AccountID, Need: c.Reserved, Platform: in.Platform, NodeID: in.NodeID,
		Traits: in.Traits, HeldDisk: in.HeldDisk, Holders: img.Holders, Demands: demands, Beside: beside,
	}
	r.NICTags, r.Fabric = in.wires(v)
	if in.LocalImage { // any node can take it from a holder that can be reached
		r.OnlyHolders = !slices.ContainsFunc(img.Holders, s.agents.Connected)
	}
	return r, in.takeVolumes(v, &r)
}

// takeVolumes binds a container to the node of the volumes that it mounts, and
// adds the sizes of those that come to be on its node.
func (in *Intent) takeVolumes(v *state.View, r *placement.Request) error {
	counted := map[string]bool{}
	for _, m := range in.Container.Spec.Mounts {
		if m.Type != model.MountVolume || counted[m.Source] {
			continue
		}
		counted[m.Source] = true
		vol, ok := v.VolumeByName(in.Container.AccountID, m.Source)
		if !ok {
			if i := slices.IndexFunc(in.Volumes, func(fresh model.Volume) bool { return fresh.Name == m.Source }); i >= 0 {
				vol = in.Volumes[i]
				vol.NodeID = ""
			}
		}
		switch {
		case vol.NodeID == "":
			r.VolumeDisk += vol.Size
		case r.NodeID == "":
			r.NodeID = vol.NodeID
		case r.NodeID != vol.NodeID:
			return model.Errorf(model.KindConflict, "the volume %s is on another node than what the container must share; a container runs on one node", vol.Name)
		}
	}
	return nil
}

// nics gives each NIC its addresses and MAC: those asked for, or the next ones
// of its network after the last one given.
func (f *fleet) nics(v *state.View, accountID string, wanted []model.NIC) ([]model.NIC, error) {
	nics := slices.Clone(wanted)
	for i := range nics {
		used := func(network string, a netip.Addr) bool { return v.AddressUsed(network, a) || f.addressed(network, a) }
		hint := func(network string) netip.Addr { return f.lastAddress[network] }
		nic, err := networks.AssignIn(v, accountID, nics[i], slices.Delete(slices.Clone(nics), i, i+1), used, hint)
		if err != nil {
			return nil, err
		}
		if !nics[i].Address.IsValid() {
			f.lastAddress[nic.NetworkID] = nic.Address.Addr()
		}
		nics[i] = nic
	}
	return nics, nil
}
