package containers

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// maxNameDraws is how often a name is drawn before digits are added to it.
const maxNameDraws = 8

// reserve chooses node, name and addresses and commits them in one entry. One
// decision is made at a time, so that each sees all promises before it; the
// replicated state checks every one of them again.
func (s *Service) reserve(ctx context.Context, p plan) (model.Container, error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	v := s.store.View()
	nodes := s.nodes(v, p)
	decision, err := placement.Decide(nodes, p.placementRequest(nodes))
	if err != nil {
		return model.Container{}, err
	}
	node, ok := v.Node(decision.NodeID)
	if !ok {
		return model.Container{}, model.Errorf(model.KindInternal, "cannot reserve container: the chosen node is unknown")
	}
	c := p.container(v, node)
	if p.network != nil {
		nic, err := s.nic(v, p.network)
		if err != nil {
			return model.Container{}, err
		}
		c.NICs = []model.NIC{nic}
	}
	s.working.add(c.ID)
	if _, err := s.store.Propose(ctx, command.ReserveContainer{Container: c}); err != nil {
		s.working.remove(c.ID)
		return model.Container{}, err
	}
	return c, nil
}

// container is the record of a new container on node, without its NICs.
func (p plan) container(v *state.View, node model.Node) model.Container {
	id := model.NewID()
	spec := p.request.Spec
	if spec.Hostname == "" && spec.UTSMode != "host" && spec.Network != "host" {
		spec.Hostname = model.ShortID(id)
	}
	need := p.need
	need.Disk = placement.DiskNeed(&node, need)
	now, name := time.Now().UTC(), p.name(v)
	spec.Links = linksOf(p.links, name)
	return model.Container{
		ID: id, Name: name, AccountID: p.account.ID, NodeID: node.ID,
		Created: now, Phase: model.PhaseReserved, Package: p.pkg.Name, Reserved: need,
		Spec: spec, State: model.ContainerState{Status: model.StatusCreated},
		Operation: p.request.Operation, DockerRequest: p.request.DockerRequest,
	}
}

// name is the one asked for, or a free one drawn by lot.
func (p plan) name(v *state.View) string {
	if p.request.Name != "" {
		return p.request.Name
	}
	for range maxNameDraws {
		name := randomName()
		if _, taken := v.ContainerByName(p.account.ID, name); !taken {
			return name
		}
	}
	return randomName() + "_" + model.NewID()[:8]
}

func (p plan) placementRequest(nodes []placement.Node) placement.Request {
	r := placement.Request{Need: p.need, Platform: p.image.Architecture, NodeID: p.nodeID, Seed: rand.Uint64()}
	// Any node can take the image from a holder that can be reached.
	r.Holders = p.local && !slices.ContainsFunc(nodes, func(n placement.Node) bool { return n.HoldsImage && n.Connected })
	if p.network != nil && p.network.Kind == model.NetworkExternal {
		r.NICTags = []string{p.network.NICTag}
	}
	return r
}

// nodes is the snapshot that placement decides on.
func (s *Service) nodes(v *state.View, p plan) []placement.Node {
	all := v.Nodes()
	own := make(map[string]int, len(all))
	for _, c := range v.Containers(p.account.ID) {
		own[c.NodeID]++
	}
	nodes := make([]placement.Node, len(all))
	for i, n := range all {
		nodes[i] = placement.Node{
			Node: n, Connected: s.agents.Connected(n.ID), Promised: v.Promised(n.ID),
			OfAccount: own[n.ID], HoldsImage: slices.Contains(p.image.Holders, n.ID),
		}
	}
	return nodes
}

// nic gives out the next address of a network after the last one given.
func (s *Service) nic(v *state.View, n *model.Network) (model.NIC, error) {
	addr, err := ipam.Next(*n, func(a netip.Addr) bool { return v.AddressUsed(n.ID, a) }, s.addressHint[n.ID])
	if err != nil {
		return model.NIC{}, err
	}
	s.addressHint[n.ID] = addr
	return model.NIC{
		NetworkID: n.ID, Interface: "eth0", MAC: ipam.MAC(n.ID, addr),
		Address: netip.PrefixFrom(addr, n.Subnet.Bits()), Gateway: n.Gateway, Primary: true,
	}, nil
}
