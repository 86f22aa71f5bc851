package network

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
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
	members map[string]*model.Member // by container
}

func newDirectory(s model.NetworkState) *directory {
	d := &directory{networks: map[string]*network{}, sets: map[string][]netip.Prefix{}, firewalls: map[string][]model.FirewallRule{}}
	for i := range s.Networks {
		view := &s.Networks[i]
		n := &network{Network: view.Network, members: map[string]*model.Member{}}
		for j := range view.Members {
			n.members[view.Members[j].ContainerID] = &view.Members[j]
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

// SetNetworks has the node act by what it knows of networks beyond its own
// containers' NICs: who is where on fabrics, who may talk to whom, and who has
// which name. When it returns all of that holds, also for containers that are
// attached meanwhile. Fabrics that the state does not know and no container
// uses are removed.
func (d *Driver) SetNetworks(ctx context.Context, s model.NetworkState) error {
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
		errs = append(errs, d.raiseFence(nil))
	}
	for _, s := range d.segments {
		if s.tunnel != nil {
			errs = append(errs, s.tunnel.sync(d.remotes(s)))
		}
	}
	d.mu.Unlock()
	errs = append(errs, failpoint.Hit("network/told/after-fabrics"), d.resolvers.Tell(ctx, phoneBook(s)), failpoint.Hit("network/told/after-names"))
	return errors.Join(append(errs, errorsOf(boxes, d.refresh))...)
}

// allBoxes are the sandboxes at this moment.
func (d *Driver) allBoxes() []*sandbox {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.boxes))
}

// refresh closes and opens a container's NICs by what was told.
func (d *Driver) refresh(b *sandbox) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rec.Ports) == 0 || !namespace.IsPinned(b.pin()) {
		return nil // gone meanwhile, or not there yet
	}
	if err := d.applyWall(b); err != nil {
		return err
	}
	return d.postAll(b)
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
