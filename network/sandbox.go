package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/network/namespace"
	"github.com/spearheadcloud/spearhead/network/resolver"
)

// sandboxSysctls make a container's namespace: IPv6 is off on every interface
// that will come, and stays on the loopback, as Docker has it.
var sandboxSysctls = map[string]string{
	"ipv6/conf/default/disable_ipv6": "1",
	// an unprivileged container may ping and serve low ports, as in Docker
	"ipv4/ping_group_range":           "0 2147483647",
	"ipv4/ip_unprivileged_port_start": "0",
}

// sandbox is the network of a container: its directory, with record and
// pinned namespace, and what the driver does for it.
type sandbox struct {
	dir string
	id  string

	// uses are the segments that it is on, or is about to be; the driver's mu
	// guards it.
	uses []string

	mu     sync.Mutex // guards what follows, and is held while it changes
	rec    sandboxRecord
	walled bool           // wall is what the kernel has
	wall   *wall          // nil: none
	dns    resolver.Ports // where its resolver listens; zero without one
	// sentries stand outside, by the outer names of ports. One that does nothing
	// is there and not known.
	sentries map[string]*sentry
}

// sandboxRecord is written before what it tells of is made.
type sandboxRecord struct {
	Account string `json:"account,omitempty"`
	Ports   []port `json:"ports,omitempty"`
	// Leaving are ports that are being removed.
	Leaving []port `json:"leaving,omitempty"`

	Resolver bool         `json:"resolver,omitempty"`
	Upstream []netip.Addr `json:"upstream,omitempty"` // name servers that the container itself can reach
	// OwnUpstream says that the node's name servers are asked.
	OwnUpstream bool `json:"own_upstream,omitempty"`
}

// portOn returns the port on a network, or nil.
func (r *sandboxRecord) portOn(network string) *port {
	i := slices.IndexFunc(r.Ports, func(p port) bool { return p.NetworkID == network })
	if i < 0 {
		return nil
	}
	return &r.Ports[i]
}

// next is the record of a sandbox that is to have the given ports: those that
// stay keep their outer names.
func (r *sandboxRecord) next(want sandboxRecord, prefix string) sandboxRecord {
	want.Leaving = slices.Clone(r.Leaving)
	for i, p := range want.Ports {
		if before := r.portOn(p.NetworkID); before != nil && before.sameVeth(p) {
			want.Ports[i].Outer = before.Outer
			want.Ports[i].Limited = p.Limited || before.Limited
		} else {
			want.Ports[i].Outer = newOuterName(prefix)
		}
	}
	for _, p := range r.Ports {
		if after := want.portOn(p.NetworkID); after == nil || after.Outer != p.Outer {
			want.Leaving = append(want.Leaving, p)
		}
	}
	return want
}

func (b *sandbox) pin() string        { return filepath.Join(b.dir, "netns") }
func (b *sandbox) recordPath() string { return filepath.Join(b.dir, "sandbox.json") }

// load returns what is recorded; nil if nothing is, and then nothing was made.
func (b *sandbox) load() (*sandboxRecord, error) {
	var r sandboxRecord
	if err := atomicfile.ReadJSON(b.recordPath(), &r); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return &r, nil
}

// standing is load for a sandbox that exists in the kernel. All that a sandbox
// consists of is made after its namespace was pinned and removed before it is
// unpinned, so without one the record is of a former boot.
func (b *sandbox) standing() *sandboxRecord {
	if !namespace.IsPinned(b.pin()) {
		return nil
	}
	rec, err := b.load()
	if err != nil {
		return nil
	}
	return rec
}

func (b *sandbox) record(rec sandboxRecord) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("cannot record sandbox: %w", err)
	}
	if err := writeJSON(b.recordPath(), rec); err != nil {
		return err
	}
	b.rec = rec
	return nil
}

// open returns a route handle in the sandbox's namespace, which it makes if
// there is none.
func (b *sandbox) open() (h *netlink.Handle, err error) {
	if namespace.IsPinned(b.pin()) {
		h, err = openPinned(b.pin())
	} else {
		h, err = pinNew(b.pin(), sandboxSysctls)
	}
	if err != nil {
		return nil, err
	}
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: 1}}
	if err := h.LinkSetUp(lo); err != nil {
		h.Close()
		return nil, fmt.Errorf("cannot start loopback: %w", err)
	}
	return h, nil
}

// namespace opens the sandbox's namespace.
func (b *sandbox) namespace() (*os.File, error) {
	ns, err := os.Open(b.pin())
	if err != nil {
		return nil, fmt.Errorf("cannot open network namespace: %w", err)
	}
	return ns, nil
}

// remove lets go of the namespace. With the last process in it gone, it ends
// a moment later, and its interfaces with it.
func (b *sandbox) remove() error {
	if err := namespace.Unpin(b.pin()); err != nil {
		return err
	}
	if err := os.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("cannot remove sandbox: %w", err)
	}
	return nil
}
