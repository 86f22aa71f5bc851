package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
	"github.com/spearheadcloud/spearhead/network/resolver"
)

// Attachment is a container and the NICs that it is to have.
type Attachment struct {
	Container string // its id, or another name that is unique on the node
	Account   string
	NICs      []model.NIC
	Networks  []model.Network // at least those of the NICs
	// Resolver offers the names of the container's networks, and of the
	// world, at resolver.Address in its namespace.
	Resolver bool
	// DNS are name servers to ask instead of the networks' and the node's.
	DNS []netip.Addr
}

// Attach gives a container the NICs of a, and no others, and returns the path
// of its namespace. No NICs means a namespace with only a loopback. Doing it
// again changes nothing and repairs what is missing; with other NICs than
// before it changes what differs, also while the container runs. If a first
// one fails, nothing is left that was not there before; after another one, do
// it again with what should be.
func (d *Driver) Attach(ctx context.Context, a Attachment) (path string, err error) {
	want, err := d.plan(a)
	if err != nil {
		return "", err
	}
	b, err := d.box(a.Container, want.segments()...)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	former := b.standing()
	if former == nil {
		former = new(sandboxRecord)
		b.dns, b.wall, b.walled = resolver.Ports{}, nil, true // a new namespace has none
		defer func() {
			if err != nil {
				err = errors.Join(err, d.detach(context.WithoutCancel(ctx), b))
			}
		}()
	}
	segments, err := d.segmentsOf(a)
	if err != nil {
		return "", err
	}
	if err := b.record(former.next(want, d.cfg.Prefix)); err != nil {
		return "", err
	}
	d.mu.Lock()
	b.uses = b.rec.segments()
	d.mu.Unlock()
	if err := failpoint.Hit("network/attach/after-record"); err != nil {
		return "", err
	}
	if err := d.join(ctx, b, segments); err != nil {
		return "", err
	}
	return b.pin(), nil
}

// segments are the keys of all that the ports are on.
func (r *sandboxRecord) segments() (keys []string) {
	for _, p := range slices.Concat(r.Ports, r.Leaving) {
		keys = append(keys, p.Segment)
	}
	return keys
}

// segmentsOf opens the segments of the networks that have NICs.
func (d *Driver) segmentsOf(a Attachment) (map[string]*segment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	open := map[string]*segment{}
	for _, nic := range a.NICs {
		i := slices.IndexFunc(a.Networks, func(n model.Network) bool { return n.ID == nic.NetworkID })
		s, err := d.segment(&a.Networks[i])
		if err != nil {
			return nil, err
		}
		if s.tunnel != nil {
			if err := s.tunnel.sync(d.remotes(s)); err != nil {
				return nil, err
			}
		}
		open[s.key] = s
	}
	return open, nil
}

// join makes the sandbox's namespace and its NICs as recorded: first what
// closes them, then they.
func (d *Driver) join(ctx context.Context, b *sandbox, segments map[string]*segment) error {
	rewired := namespace.IsPinned(b.pin())
	inner, err := b.open()
	if err != nil {
		return err
	}
	defer inner.Close()
	ns, err := b.namespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := failpoint.Hit("network/attach/after-namespace"); err != nil {
		return err
	}
	if err := d.serveNames(ctx, b); err != nil {
		return err
	}
	if err := failpoint.Hit("network/attach/after-names"); err != nil {
		return err
	}
	if err := d.applyWall(b); err != nil {
		return err
	}
	if err := failpoint.Hit("network/attach/after-firewall"); err != nil {
		return err
	}
	if err := d.unplugLeaving(b, inner); err != nil {
		return err
	}
	for _, p := range b.rec.Ports {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cannot attach interface %s: %w", p.Interface, err)
		}
		s := segments[p.Segment]
		if err := s.attach(ns, inner, p, func() error { return d.post(b, s, p) }); err != nil {
			return err
		}
	}
	if rewired {
		return dropDefaultRoutes(inner, b.rec.Ports)
	}
	return nil
}

// unplugLeaving removes the ports that are not wanted any more.
func (d *Driver) unplugLeaving(b *sandbox, inner *netlink.Handle) error {
	if len(b.rec.Leaving) == 0 {
		return nil
	}
	for _, p := range b.rec.Leaving {
		s, err := d.segmentIfAny(p.Segment)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		if err := errors.Join(s.unplug(p), b.relieve(s, p), dropWaysBack(inner, p)); err != nil {
			return err
		}
	}
	if err := failpoint.Hit("network/attach/after-unplug"); err != nil {
		return err
	}
	rec := b.rec
	rec.Leaving = nil
	if err := b.record(rec); err != nil {
		return err
	}
	d.mu.Lock()
	b.uses = rec.segments()
	d.mu.Unlock()
	return nil
}

func (d *Driver) segmentIfAny(key string) (*segment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.existing(key)
}

// Detach removes the network of a container; an unknown one is no error.
// The container's addresses are free for others when it returns. The namespace
// and its interfaces end by themselves when no process is left in it.
func (d *Driver) Detach(ctx context.Context, container string) error {
	b, err := d.box(container)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return d.detach(ctx, b)
}

// detach is Detach for who holds the sandbox.
func (d *Driver) detach(ctx context.Context, b *sandbox) error {
	if err := d.resolvers.Drop(ctx, b.id); err != nil { // the next driver does
		d.cfg.Logger.Warn("cannot end a resolver", "op", "detach", "container", b.id, "err", err)
	}
	rec, err := b.load()
	if err != nil {
		d.cfg.Logger.Warn("sandbox has no readable record; removing its namespace", "container", b.id, "err", err)
	}
	if rec != nil {
		for _, p := range slices.Concat(rec.Ports, rec.Leaving) {
			s, err := d.segmentIfAny(p.Segment)
			if err != nil {
				return err
			}
			if s == nil {
				continue
			}
			if err := errors.Join(s.silence(p), b.relieve(s, p)); err != nil {
				return err
			}
		}
	}
	if err := failpoint.Hit("network/detach/before-namespace"); err != nil {
		return err
	}
	if err := b.remove(); err != nil {
		return err
	}
	b.rec, b.dns, b.wall, b.walled, b.sentries = sandboxRecord{}, resolver.Ports{}, nil, false, nil
	d.mu.Lock()
	delete(d.boxes, b.id)
	d.mu.Unlock()
	return nil
}
