package build

import (
	"cmp"
	"context"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/spearheadcloud/spearhead/headnode/networks"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// homeTries is how often a home is chosen when others take its address, or
// choose too, at the same time.
const homeTries = 8

// home tells where an account's builds are, and has that node promise the
// builder its memory: where they were, as long as that node is there, has the
// memory, and storage that does not fail. Another choice costs the cache.
func (s *Service) home(ctx context.Context, a model.Account, pkg *model.Package) (model.Builder, error) {
	if s.Fabrics != nil {
		if err := s.Fabrics.EnsureDefault(ctx, a); err != nil {
			return model.Builder{}, err
		}
	}
	var err error
	for range homeTries {
		v := s.Store.View()
		before, _ := v.Builder(a.ID)
		if n, ok := v.Node(before.NodeID); ok && n.Approved && s.Agents.Connected(n.ID) && s.fault(n.ID) == "" && attached(v, &before) {
			if err = s.promise(ctx, &before, pkg.Memory); err == nil || !model.IsKind(err, model.KindExhausted) {
				return before, err
			}
		}
		var next model.Builder
		if next, err = s.chooseHome(v, a, pkg); err != nil {
			return model.Builder{}, err
		}
		_, err = s.Store.Propose(ctx, command.PutBuilder{Builder: next, Before: before.NodeID})
		if err == nil {
			return next, nil
		}
		if !model.IsKind(err, model.KindConflict) {
			return model.Builder{}, err
		}
	}
	return model.Builder{}, err
}

// promise has a builder's node promise it that much memory.
func (s *Service) promise(ctx context.Context, b *model.Builder, memory int64) error {
	if b.Memory == memory {
		return nil
	}
	b.Memory = memory
	_, err := s.Store.Propose(ctx, command.PutBuilder{Builder: *b, Before: b.NodeID})
	return err
}

// chooseHome takes the first node, in the account's own order, that placement
// would let a container of the package's size onto, and an address on the
// network that the account's containers get which name none.
func (s *Service) chooseHome(v *state.View, a model.Account, pkg *model.Package) (model.Builder, error) {
	request := placement.Request{AccountID: a.ID, Need: model.Resources{Memory: pkg.Memory}}
	chosen := model.Builder{AccountID: a.ID, Memory: pkg.Memory}
	if place, ok := networks.Default(v, a.ID); ok {
		nic, err := nicAt(v, a.ID, place)
		if err != nil {
			return chosen, err
		}
		chosen.NICs = []model.NIC{nic}
		if n, _ := v.Network(nic.NetworkID); n.Kind == model.NetworkExternal {
			request.NICTags = []string{n.NICTag}
		} else {
			request.Fabric = true
		}
	}
	var all []placement.Node
	for _, n := range v.Nodes() {
		all = append(all, placement.NewNode(n, v.Promised(n.ID), v.PromisedTo(n.ID), s.Agents.Connected(n.ID)).Telling(s.fault(n.ID)))
	}
	slices.SortFunc(all, func(x, y placement.Node) int { return cmp.Compare(rank(a.ID, x.ID()), rank(a.ID, y.ID())) })
	for i := range all {
		if d, err := placement.Decide(all[i:i+1], request); err == nil {
			chosen.NodeID = d.NodeID
			return chosen, nil
		}
	}
	_, err := placement.Decide(all, request) // counts why
	return chosen, err
}

// attached reports whether a builder is on a network if it can be.
func attached(v *state.View, b *model.Builder) bool {
	_, can := networks.Default(v, b.AccountID)
	return len(b.NICs) > 0 || !can
}

// nicAt is a builder's NIC on a network, or on the first one of a pool that has
// an address left.
func nicAt(v *state.View, accountID string, place networks.Place) (model.NIC, error) {
	wanted := model.NIC{NetworkID: place.Networks[0].ID, Interface: "eth0", Primary: true, Firewall: true}
	if place.Pool {
		wanted.PoolID = place.ID
	}
	return networks.AssignIn(v, accountID, wanted, nil, v.AddressUsed, func(string) netip.Addr { return netip.Addr{} })
}

// fault is what a node last told to be wrong with its storage.
func (s *Service) fault(nodeID string) model.StorageFault {
	if s.Load == nil {
		return ""
	}
	l, _ := s.Load(nodeID)
	return l.Storage
}

// rank orders nodes for an account (rendezvous hashing), so that accounts are
// spread.
func rank(accountID, nodeID string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(accountID + " " + nodeID))
	return h.Sum64()
}
