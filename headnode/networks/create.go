package networks

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// createTries bounds how often a number or a subnet is chosen anew that
// somebody else has got meanwhile.
const createTries = 16

// CreateNetwork implements dockerapi.Networks: it makes a fabric of what was
// asked for and chooses the rest.
func (s *Service) CreateNetwork(ctx context.Context, a model.Account, asked model.Network) (model.Network, error) {
	if n, ok := s.store.View().NetworkByName(asked.Name); ok && n.UsableBy(a.ID) {
		return model.Network{}, errExists(asked.Name)
	}
	asked.Kind, asked.AccountID, asked.ID, asked.Created = model.NetworkFabric, a.ID, model.NewID(), time.Now().UTC()
	for try := 1; ; try++ {
		v := s.store.View()
		if _, ok := v.NetworkOfAccount(a.ID, asked.Name); ok {
			return model.Network{}, errExists(asked.Name)
		}
		n, err := complete(v, asked)
		if err != nil {
			return model.Network{}, err
		}
		if err := ipam.Validate(n); err != nil {
			return model.Network{}, err
		}
		_, err = s.store.Propose(ctx, command.CreateNetwork{Network: n})
		again := model.IsKind(err, model.KindConflict) || model.IsKind(err, model.KindForbidden) && !asked.Subnet.IsValid()
		if !again || try == createTries {
			return n, err
		}
	}
}

func errExists(name string) error {
	return model.Errorf(model.KindConflict, "network with name %s already exists", name)
}

// EnsureDefault makes sure that containers of the account that name no network
// have one.
func (s *Service) EnsureDefault(ctx context.Context, a model.Account) error {
	if _, ok := Default(s.store.View(), a.ID); ok {
		return nil
	}
	_, err := s.CreateNetwork(ctx, a, model.Network{Name: DefaultFabric, Default: true})
	if model.IsKind(err, model.KindConflict) {
		if _, ok := Default(s.store.View(), a.ID); ok {
			return nil // another request has made it
		}
		return model.Errorf(model.KindConflict, "the account's network named %s is not its default one: name a network, or remove that one", DefaultFabric)
	}
	return err
}

// complete chooses what a fabric needs and nobody has asked for.
func complete(v *state.View, n model.Network) (model.Network, error) {
	n.VNI = freeVNI(v)
	if !n.Subnet.IsValid() {
		subnet, ok := freeSubnet(v, n.AccountID)
		if !ok {
			return n, model.Errorf(model.KindExhausted, "all predefined address pools have been fully subnetted: remove a network, or name a subnet")
		}
		n.Subnet = subnet
	}
	return ipam.Complete(n), nil
}

// freeVNI draws a number by lot: one that was in use a moment ago, which some
// node may still know, is not likely to come again soon.
func freeVNI(v *state.View) uint32 {
	taken := map[uint32]bool{}
	for _, n := range v.Networks() {
		taken[n.VNI] = true
	}
	for {
		if vni := rand.Uint32N(1<<24-1) + 1; !taken[vni] {
			return vni
		}
	}
}

// pools are what subnets are cut from that nobody has named: those of Docker,
// and then a large one.
var pools = []struct {
	from netip.Prefix
	bits int
}{
	{netip.MustParsePrefix("172.16.0.0/12"), 16},
	{netip.MustParsePrefix("192.168.0.0/16"), 20},
	{netip.MustParsePrefix("10.128.0.0/9"), 20},
}

// freeSubnet is the first that meets neither a network of the account nor one
// of the data center that its containers may want to reach.
func freeSubnet(v *state.View, accountID string) (netip.Prefix, bool) {
	var taken []netip.Prefix
	for _, n := range v.Networks() {
		if n.UsableBy(accountID) {
			taken = append(taken, n.Subnet)
		}
	}
	// Prefixes overlap only if one is within the other, so in the order of their
	// beginnings each candidate can meet but the next one that is taken.
	slices.SortFunc(taken, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	for _, pool := range pools {
		next := 0
		for p := netip.PrefixFrom(pool.from.Addr(), pool.bits); pool.from.Contains(p.Addr()); p = following(p) {
			for next < len(taken) && !p.Overlaps(taken[next]) && taken[next].Addr().Less(p.Addr()) {
				next++
			}
			if next == len(taken) || !p.Overlaps(taken[next]) {
				return p, true
			}
		}
	}
	return netip.Prefix{}, false
}

// following is the prefix of the same length after p.
func following(p netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(model.LastAddress(p).Next(), p.Bits())
}

// RemoveNetwork implements dockerapi.Networks.
func (s *Service) RemoveNetwork(ctx context.Context, a model.Account, id string) error {
	n, err := Find(s.store.View(), a.ID, id)
	if err != nil {
		return err
	}
	if n.AccountID != a.ID {
		return model.Errorf(model.KindForbidden, "%s is a pre-defined network and cannot be removed", n.Name)
	}
	_, err = s.store.Propose(ctx, command.RemoveNetwork{ID: n.ID, Time: time.Now().UTC()})
	return err
}

// PruneNetworks implements dockerapi.Networks: it removes those of the
// account's networks that nothing which runs is on and that want accepts. One
// that a container joins meanwhile stays.
func (s *Service) PruneNetworks(ctx context.Context, a model.Account, want func(*model.Network) bool) (removed []string, err error) {
	v := s.store.View()
	for _, n := range v.Networks() {
		if n.AccountID != a.ID || n.Removing || v.NetworkActive(n) || !want(n) {
			continue
		}
		_, err := s.store.Propose(ctx, command.RemoveNetwork{ID: n.ID, Time: time.Now().UTC()})
		switch {
		case err == nil:
			removed = append(removed, n.Name)
		case !model.IsKind(err, model.KindForbidden):
			return removed, err
		}
	}
	return removed, nil
}
