package system

import (
	"context"
	"slices"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Place implements dockerapi.System.
func (s *Service) Place(_ context.Context, nodeID string) (dockerapi.Place, bool) {
	n, ok := s.c.Store.View().Node(nodeID)
	if !ok {
		return dockerapi.Place{}, false
	}
	return s.place(&n), true
}

func (s *Service) place(n *model.Node) dockerapi.Place {
	labels := map[string]string{}
	for name, value := range map[string]string{
		"rack": n.Rack, "zone": n.Zone, "storagedriver": n.Info.Storage,
		"operatingsystem": n.Info.OperatingSystem, "kernelversion": n.Info.Kernel,
	} {
		if value != "" {
			labels[name] = value
		}
	}
	return dockerapi.Place{
		ID: n.ID, Name: n.Name, Connected: s.c.Connected(n.ID), Cordoned: n.Cordoned || !n.Approved,
		CPUs: n.Info.CPUs, Memory: n.Info.Capacity.Memory, Labels: labels,
	}
}

// places are the nodes that the account may use, with what the account has there.
func (s *Service) places(v *state.View, accountID string) []dockerapi.Place {
	type share struct {
		containers int
		reserved   model.Resources
	}
	own := map[string]share{}
	for _, c := range v.Containers(accountID) {
		of := own[c.NodeID]
		of.containers++
		of.reserved = of.reserved.Add(c.Reserved)
		own[c.NodeID] = of
	}
	var all []dockerapi.Place
	for _, n := range v.Nodes() {
		if len(n.Owners) > 0 && !slices.Contains(n.Owners, accountID) {
			continue
		}
		p := s.place(n)
		p.Containers, p.Reserved = own[n.ID].containers, own[n.ID].reserved
		all = append(all, p)
	}
	return all
}
