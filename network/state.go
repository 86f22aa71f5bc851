package network

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// directory is what heads told of networks, for looking up. It never changes.
type directory struct {
	networks  map[string]*network // by id
	sets      map[string][]netip.Prefix
	firewalls map[string][]model.FirewallRule // by container
}

// network is one network in the directory.
type network struct {
	model.Network
	members map[string]*model.Member     // by container
	names   map[place][]*model.Member    // by a name in lower case
	owners  map[netip.Addr]*model.Member // by address
}

// place is a name as one account knows it.
type place struct{ account, name string }

func newDirectory(s model.NetworkState) *directory {
	d := &directory{networks: map[string]*network{}, sets: map[string][]netip.Prefix{}, firewalls: map[string][]model.FirewallRule{}}
	for i := range s.Networks {
		view := &s.Networks[i]
		n := &network{
			Network: view.Network, members: map[string]*model.Member{},
			names: map[place][]*model.Member{}, owners: map[netip.Addr]*model.Member{},
		}
		for j := range view.Members {
			n.add(&view.Members[j])
		}
		d.networks[n.ID] = n
	}
	for _, set := range s.Sets {
		d.sets[set.ID] = set.Prefixes
	}
	for _, f := range s.Firewalls {
		d.firewalls[f.ContainerID] = f.Rules
	}
	return d
}

func (n *network) add(m *model.Member) {
	n.members[m.ContainerID] = m
	n.owners[m.Address] = m
	if m.Address6.IsValid() {
		n.owners[m.Address6] = m
	}
	if !m.Up {
		return
	}
	known := map[string]bool{}
	for _, name := range append([]string{model.ShortID(m.ContainerID)}, m.Names...) {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if name == "" || known[name] {
			continue
		}
		known[name] = true
		at := place{m.AccountID, name}
		n.names[at] = append(n.names[at], m)
	}
}

// SetNetworks has the node act by what it knows of networks beyond its own
// containers' NICs: who is where on fabrics, who may talk to whom, and who has
// which name. When it returns all of that holds, also for containers that are
// attached meanwhile. Fabrics that the state does not know and no container
// uses are removed.
func (d *Driver) SetNetworks(_ context.Context, s model.NetworkState) error {
	told := newDirectory(s)
	// Whoever attaches a container reads told when its sandbox and segments
	// are known already, so either that or what follows acts by the new one.
	d.told.Store(told)
	d.mu.Lock()
	boxes := slices.Collect(maps.Values(d.boxes))
	errs := []error{d.removeIdle(func(s *segment) bool {
		return s.rec.Fabric != nil && told.networks[s.rec.Fabric.Network] == nil
	})}
	if d.fenced != nil {
		errs = append(errs, d.raiseFence())
	}
	for _, s := range d.segments {
		if s.tunnel != nil {
			errs = append(errs, s.tunnel.sync(d.remotes(s)))
		}
	}
	d.mu.Unlock()
	return errors.Join(append(errs, errorsOf(boxes, d.refresh))...)
}

// refresh closes and opens a container's NICs by what was told.
func (d *Driver) refresh(b *sandbox) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rec.Ports) == 0 || !namespace.IsPinned(b.pin()) {
		return nil // gone meanwhile, or not there yet
	}
	return d.applyWall(b)
}

// remotes are the NICs of a fabric on other nodes. One that a container here
// has is here, whatever was told before it came. The caller holds d.mu.
func (d *Driver) remotes(s *segment) map[string]remote {
	want := map[string]remote{}
	n := d.told.Load().networks[s.rec.Fabric.Network]
	if n == nil {
		return want
	}
	for _, m := range n.members {
		b := d.boxes[m.ContainerID]
		here := b != nil && slices.Contains(b.uses, s.key)
		if !m.Underlay.IsValid() || m.Underlay == d.cfg.Underlay || here {
			continue
		}
		want[strings.ToLower(m.MAC)] = remote{node: m.Underlay, addresses: [2]netip.Addr{m.Address, m.Address6}}
	}
	return want
}
