package network

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// sandboxSysctls make a container's namespace: IPv6 is off on every interface
// that will come, and stays on the loopback, as Docker has it.
var sandboxSysctls = map[string]string{
	"ipv6/conf/default/disable_ipv6": "1",
	// an unprivileged container may ping and serve low ports, as in Docker
	"ipv4/ping_group_range":           "0 2147483647",
	"ipv4/ip_unprivileged_port_start": "0",
}

// port is one NIC of a container, as recorded.
type port struct {
	Segment   string       `json:"segment"`
	Outer     string       `json:"outer"` // name of the veth on the bridge
	Interface string       `json:"interface"`
	MAC       string       `json:"mac"`
	Address   netip.Prefix `json:"address"`
	Gateway   netip.Addr   `json:"gateway"`
	Primary   bool         `json:"primary,omitempty"`
	MTU       int          `json:"mtu,omitempty"` // 0 is the uplink's
}

func (p port) hardware() (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(p.MAC)
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("cannot use MAC %q of %s", p.MAC, p.Interface)
	}
	return mac, nil
}

// newOuterName chooses a name for the outer end of a veth. Each sandbox has
// new ones, as the veth of a container's former sandbox may still be going.
func newOuterName(prefix string) string {
	var b [5]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return prefix + hex.EncodeToString(b[:])
}

// sandbox is a container's directory: its record and its pinned namespace.
type sandbox struct {
	dir string
}

type sandboxRecord struct {
	Ports []port `json:"ports,omitempty"`
}

// isFor reports whether the record is one of those ports, outer names apart.
func (r *sandboxRecord) isFor(ports []port) bool {
	return slices.EqualFunc(r.Ports, ports, func(a, b port) bool {
		b.Outer = a.Outer
		return a == b
	})
}

func (b sandbox) pin() string        { return filepath.Join(b.dir, "netns") }
func (b sandbox) recordPath() string { return filepath.Join(b.dir, "sandbox.json") }

// load returns what is recorded; nil if nothing is, and then nothing was made.
func (b sandbox) load() (*sandboxRecord, error) {
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
func (b sandbox) standing() *sandboxRecord {
	if !namespace.IsPinned(b.pin()) {
		return nil
	}
	rec, err := b.load()
	if err != nil {
		return nil
	}
	return rec
}

func (b sandbox) record(ports []port) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("cannot record sandbox: %w", err)
	}
	return writeJSON(b.recordPath(), sandboxRecord{Ports: ports})
}

// open returns a route handle in the sandbox's namespace, which it makes if
// there is none.
func (b sandbox) open() (h *netlink.Handle, err error) {
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

// remove lets go of the namespace. With the last process in it gone, it ends
// a moment later, and its interfaces with it.
func (b sandbox) remove() error {
	if err := namespace.Unpin(b.pin()); err != nil {
		return err
	}
	if err := os.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("cannot remove sandbox: %w", err)
	}
	return nil
}

// attach joins a container's namespace to the segment.
func (s *segment) attach(b sandbox, inner *netlink.Handle, p port) error {
	mac, err := p.hardware()
	if err != nil {
		return err
	}
	if err := s.guard.allow(p.Outer, mac, p.Address.Addr()); err != nil {
		return err
	}
	if err := failpoint.Hit("network/attach/after-guard"); err != nil {
		return err
	}
	if err := s.plug(b, p, mac); err != nil {
		return err
	}
	if err := failpoint.Hit("network/attach/after-veth"); err != nil {
		return err
	}
	if err := configure(inner, p); err != nil {
		return err
	}
	return s.voice.announce(mac, p.Address.Addr())
}

// plug makes the veth, unless it is there.
func (s *segment) plug(b sandbox, p port, mac net.HardwareAddr) error {
	ns, err := os.Open(b.pin())
	if err != nil {
		return fmt.Errorf("cannot open network namespace: %w", err)
	}
	defer ns.Close()
	mtu := s.mtu
	if p.MTU != 0 {
		mtu = min(mtu, p.MTU)
	}
	pair := veth{outer: p.Outer, master: s.bridge, mtu: mtu, inner: p.Interface, innerMAC: mac, namespace: int(ns.Fd())}
	if err := pair.create(s.create); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot make interface %s: %w", p.Interface, err)
	}
	return nil
}

// configure gives the inner end its address and the way out.
func configure(inner *netlink.Handle, p port) error {
	link, err := inner.LinkByName(p.Interface)
	if err != nil {
		return fmt.Errorf("cannot find interface %s: %w", p.Interface, err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{
		IP: p.Address.Addr().AsSlice(), Mask: net.CIDRMask(p.Address.Bits(), 32),
	}}
	if err := inner.AddrReplace(link, address); err != nil {
		return fmt.Errorf("cannot give interface %s its address: %w", p.Interface, err)
	}
	if err := inner.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start interface %s: %w", p.Interface, err)
	}
	if !p.Primary || !p.Gateway.IsValid() {
		return nil
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: p.Gateway.AsSlice()}
	if err := inner.RouteReplace(route); err != nil {
		return fmt.Errorf("cannot set default route: %w", err)
	}
	return nil
}

// silence takes back what attach allowed: from now on nothing that the
// interface says is heard, so the address may have a new owner. The interface
// itself goes with its namespace: removing it here would make every container
// on the machine wait for the kernel's grace periods (30 ms under the lock
// that all interfaces share), while the kernel does it for many at a time.
func (s *segment) silence(p port) error {
	mac, err := p.hardware()
	if err != nil {
		return err
	}
	s.voice.hush(p.Address.Addr())
	return s.guard.forbid(p.Outer, mac, p.Address.Addr())
}

// portOf turns a NIC into the port that it will be, without its outer name.
func portOf(nic model.NIC, n model.Network) port {
	return port{
		Segment: segmentKey(n.NICTag, n.VLAN), Interface: nic.Interface, MAC: nic.MAC, Address: nic.Address, Gateway: nic.Gateway, Primary: nic.Primary, MTU: n.MTU,
	}
}
