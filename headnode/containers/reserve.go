package containers

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Reserve implements Reserver on the head that leads: it chooses node and
// addresses and commits them in one entry. One decision is made at a time, so
// that each sees all promises before it; the replicated state checks every one
// of them again.
func (s *Service) Reserve(ctx context.Context, in Intent) (model.Container, error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	v := s.store.View()
	if held, ok := v.Container(in.Container.ID); ok {
		return held, nil
	}
	if err := in.pinByVolumes(v); err != nil {
		return model.Container{}, err
	}
	nodes := s.nodes(v, &in)
	decision, err := placement.Decide(nodes, s.placementRequest(v, &in))
	if err != nil {
		return model.Container{}, err
	}
	node, ok := v.Node(decision.NodeID)
	if !ok {
		return model.Container{}, model.Errorf(model.KindInternal, "cannot reserve container: the chosen node is unknown")
	}
	c := in.Container
	c.NodeID = node.ID
	c.Reserved.Disk = placement.DiskNeed(&node, c.Reserved)
	if c.NICs, err = s.nics(v, c.NICs); err != nil {
		return model.Container{}, err
	}
	if _, err := s.store.Propose(ctx, command.ReserveContainer{Container: c, Volumes: in.Volumes}); err != nil {
		return model.Container{}, err
	}
	return c, nil
}

func (s *Service) placementRequest(v *state.View, in *Intent) placement.Request {
	r := placement.Request{
		Need: in.Container.Reserved, Platform: in.Platform, NodeID: in.NodeID, NICTags: in.tags(v), Seed: rand.Uint64(),
	}
	if in.LocalImage { // any node can take it from a holder that can be reached
		img, _ := v.Image(in.Container.Spec.ImageID)
		r.Holders = !slices.ContainsFunc(img.Holders, s.agents.Connected)
	}
	return r
}

// pinByVolumes binds a container to the node of the volumes that it mounts.
func (in *Intent) pinByVolumes(v *state.View) error {
	for _, m := range in.Container.Spec.Mounts {
		if m.Type != model.MountVolume {
			continue
		}
		vol, ok := v.VolumeByName(in.Container.AccountID, m.Source)
		switch {
		case !ok || vol.NodeID == "" || vol.NodeID == in.NodeID:
		case in.NodeID == "":
			in.NodeID = vol.NodeID
		default:
			return model.Errorf(model.KindConflict, "the volume %s is on another node than what the container must share; a container runs on one node", vol.Name)
		}
	}
	return nil
}

// nodes is the snapshot that placement decides on.
func (s *Service) nodes(v *state.View, in *Intent) []placement.Node {
	all := v.Nodes()
	own := make(map[string]int, len(all))
	for _, c := range v.Containers(in.Container.AccountID) {
		own[c.NodeID]++
	}
	img, _ := v.Image(in.Container.Spec.ImageID)
	nodes := make([]placement.Node, len(all))
	for i, n := range all {
		nodes[i] = placement.Node{
			Node: n, Connected: s.agents.Connected(n.ID), Promised: v.Promised(n.ID),
			OfAccount: own[n.ID], HoldsImage: slices.Contains(img.Holders, n.ID),
		}
	}
	return nodes
}

// nics gives an address and a MAC to each NIC that lacks them: the next one of
// its network after the last one given.
func (s *Service) nics(v *state.View, wanted []model.NIC) ([]model.NIC, error) {
	nics := slices.Clone(wanted)
	for i := range nics {
		nic := &nics[i]
		if nic.Address.IsValid() {
			continue
		}
		n, ok := v.Network(nic.NetworkID)
		if !ok {
			return nil, model.Errorf(model.KindConflict, "the network of the container was removed meanwhile; try again")
		}
		addr, err := ipam.Next(n, func(a netip.Addr) bool { return v.AddressUsed(n.ID, a) }, s.addressHint[n.ID])
		if err != nil {
			return nil, err
		}
		s.addressHint[n.ID] = addr
		nic.MAC, nic.Gateway = cmp.Or(nic.MAC, ipam.MAC(n.ID, addr)), n.Gateway
		nic.Address = netip.PrefixFrom(addr, n.Subnet.Bits())
	}
	return nics, nil
}
