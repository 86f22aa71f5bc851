package network

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// bridgeName is the name of the bridge in every segment's namespace.
const bridgeName = "bridge"

// segmentSysctls keep the segment's namespace from speaking for itself: it
// has no address and wants none.
var segmentSysctls = map[string]string{
	"ipv6/conf/all/disable_ipv6":     "1",
	"ipv6/conf/default/disable_ipv6": "1",
	"ipv4/ip_forward":                "0",
}

// segmentRecord is written before a segment is made. It says which interface
// of the agent's namespace is in it, so that it can be given back.
type segmentRecord struct {
	Tag    string `json:"tag"`
	VLAN   uint16 `json:"vlan,omitempty"`
	Uplink string `json:"uplink"`           // the NIC
	WasUp  bool   `json:"was_up,omitempty"` // how the NIC was found
}

// link is the name of the interface that is the bridge's uplink.
func (r segmentRecord) link() string {
	if r.VLAN == 0 {
		return r.Uplink
	}
	return fmt.Sprintf("vlan%d", r.VLAN)
}

// segment is one physical network as it exists on this node: a namespace with
// a bridge and its uplink. Networks with the same NIC tag and VLAN share it,
// as they share the wire.
type segment struct {
	key    string
	dir    string
	rec    segmentRecord
	ns     *os.File
	route  *netlink.Handle
	create *nl.SocketHandle // makes veths
	bridge int              // index
	mtu    int              // of the uplink
	guard  *guard
	voice  *announcer
}

// segmentKey names the segment of an external network. Tags hold no dots.
func segmentKey(tag string, vlan uint16) string { return fmt.Sprintf("%s.%d", tag, vlan) }

func (s *segment) pin() string        { return filepath.Join(s.dir, "netns") }
func (s *segment) recordPath() string { return filepath.Join(s.dir, "segment.json") }

// open makes of the segment whatever is not there yet: each step finds its
// own work done.
func (s *segment) open(d *Driver) (err error) {
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.openNamespace(); err != nil {
		return err
	}
	if err := failpoint.Hit("network/segment/after-namespace"); err != nil {
		return err
	}
	if err := s.ensureBridge(); err != nil {
		return err
	}
	if s.guard, err = openGuard(s.ns, s.rec.link()); err != nil {
		return err
	}
	if err := failpoint.Hit("network/segment/before-uplink"); err != nil {
		return err
	}
	if err := s.ensureUplink(d); err != nil {
		return err
	}
	s.voice, err = openAnnouncer(s.ns, s.bridge)
	return err
}

func (s *segment) openNamespace() (err error) {
	if namespace.IsPinned(s.pin()) {
		s.route, err = openPinned(s.pin())
	} else {
		s.route, err = pinNew(s.pin(), segmentSysctls)
	}
	if err != nil {
		return err
	}
	if s.ns, err = os.Open(s.pin()); err != nil {
		return fmt.Errorf("cannot open network namespace: %w", err)
	}
	return namespace.Enter(s.ns, func() error {
		socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("cannot open netlink: %w", err)
		}
		s.create = &nl.SocketHandle{Socket: socket}
		return nil
	})
}

// ensureBridge makes the bridge: without spanning tree and without waiting
// before a port forwards; multicast goes to every port. Its MAC is its own,
// so that it does not change as ports come and go.
func (s *segment) ensureBridge() error {
	sum := sha256.Sum256([]byte(s.key))
	no := false
	err := s.route.LinkAdd(&netlink.Bridge{
		LinkAttrs:         netlink.LinkAttrs{Name: bridgeName, TxQLen: -1, HardwareAddr: append(net.HardwareAddr{0x06}, sum[:5]...)},
		MulticastSnooping: &no,
	})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot make bridge: %w", err)
	}
	link, err := s.route.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("cannot find bridge: %w", err)
	}
	if err := s.route.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start bridge: %w", err)
	}
	s.bridge = link.Attrs().Index
	return nil
}

// ensureUplink brings the NIC, or its VLAN, into the segment and onto the
// bridge.
func (s *segment) ensureUplink(d *Driver) error {
	link, err := s.route.LinkByName(s.rec.link())
	if isNoLink(err) {
		if err = s.fetchUplink(d); err != nil {
			return err
		}
		link, err = s.route.LinkByName(s.rec.link())
	}
	if err != nil {
		return fmt.Errorf("cannot find uplink of NIC tag %s: %w", s.rec.Tag, err)
	}
	if err := failpoint.Hit("network/segment/after-uplink-moved"); err != nil {
		return err
	}
	if link.Attrs().MasterIndex != s.bridge {
		if err := s.route.LinkSetMasterByIndex(link, s.bridge); err != nil {
			return fmt.Errorf("cannot make NIC of tag %s a port of its bridge: %w", s.rec.Tag, err)
		}
	}
	if err := s.route.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start NIC of tag %s: %w", s.rec.Tag, err)
	}
	s.mtu = link.Attrs().MTU
	return nil
}

// fetchUplink moves the NIC here, or makes its VLAN interface here; the NIC
// itself then stays where it is, which may be in the segment of its untagged
// network.
func (s *segment) fetchUplink(d *Driver) error {
	at, link, err := d.findUplink(s.rec)
	if err != nil {
		return err
	}
	if s.rec.VLAN == 0 {
		if err := at.LinkSetNsFd(link, int(s.ns.Fd())); err != nil {
			return fmt.Errorf("cannot move NIC of tag %s to its network: %w", s.rec.Tag, err)
		}
		return nil
	}
	if err := at.LinkSetUp(link); err != nil {
		return fmt.Errorf("cannot start NIC of tag %s: %w", s.rec.Tag, err)
	}
	attrs := netlink.LinkAttrs{Name: s.rec.link(), ParentIndex: link.Attrs().Index, TxQLen: -1, Namespace: netlink.NsFd(s.ns.Fd())}
	if err := at.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: int(s.rec.VLAN), VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}); err != nil {
		return fmt.Errorf("cannot make VLAN %d on NIC of tag %s: %w", s.rec.VLAN, s.rec.Tag, err)
	}
	return nil
}

// giveBack returns the NIC to the agent's namespace as it was found there,
// and removes the segment. A VLAN interface ends with its namespace.
func (s *segment) giveBack(host *os.File, hostRoute *netlink.Handle) error {
	if s.rec.VLAN == 0 {
		link, err := s.route.LinkByName(s.rec.link())
		switch {
		case isNoLink(err):
		case err != nil:
			return fmt.Errorf("cannot find uplink of NIC tag %s: %w", s.rec.Tag, err)
		default:
			if err := s.route.LinkSetNoMaster(link); err != nil {
				return fmt.Errorf("cannot take NIC of tag %s off its bridge: %w", s.rec.Tag, err)
			}
			if err := s.route.LinkSetNsFd(link, int(host.Fd())); err != nil {
				return fmt.Errorf("cannot give NIC of tag %s back: %w", s.rec.Tag, err)
			}
			if err := restoreState(hostRoute, s.rec); err != nil {
				return err
			}
		}
	}
	s.close()
	return s.removeFiles()
}

func restoreState(hostRoute *netlink.Handle, rec segmentRecord) error {
	if !rec.WasUp {
		return nil // moving took it down
	}
	link, err := hostRoute.LinkByName(rec.Uplink)
	if err == nil {
		err = hostRoute.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("cannot start NIC of tag %s: %w", rec.Tag, err)
	}
	return nil
}

func (s *segment) removeFiles() error {
	if err := namespace.Unpin(s.pin()); err != nil {
		return err
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("cannot remove segment: %w", err)
	}
	return nil
}

// close releases descriptors; the segment works on.
func (s *segment) close() {
	if s.voice != nil {
		s.voice.close()
	}
	if s.guard != nil {
		s.guard.close()
	}
	if s.create != nil {
		s.create.Close()
	}
	if s.route != nil {
		s.route.Close()
	}
	if s.ns != nil {
		s.ns.Close()
	}
	*s = segment{key: s.key, dir: s.dir, rec: s.rec}
}

// segment returns the open segment of a network, making it if need be.
func (d *Driver) segment(n model.Network) (*segment, error) {
	key := segmentKey(n.NICTag, n.VLAN)
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.segments[key]; s != nil {
		return s, nil
	}
	uplink, ok := d.cfg.Uplinks[n.NICTag]
	if !ok {
		return nil, model.Errorf(model.KindUnavailable, "this node has no NIC with the tag %s of network %s", n.NICTag, n.Name)
	}
	s := &segment{key: key, dir: filepath.Join(d.segmentsDir(), key)}
	if !namespace.IsPinned(s.pin()) || atomicfile.ReadJSON(s.recordPath(), &s.rec) != nil {
		s.rec = segmentRecord{Tag: n.NICTag, VLAN: n.VLAN, Uplink: uplink}
		if _, link, err := d.findUplink(s.rec); err == nil {
			s.rec.WasUp = link.Attrs().Flags&net.FlagUp != 0
		}
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot record segment: %w", err)
		}
		if err := writeJSON(s.recordPath(), s.rec); err != nil {
			return nil, err
		}
	}
	if err := s.open(d); err != nil {
		return nil, err
	}
	d.segments[key] = s
	return s, nil
}

// existing returns the segment of that key if it is or can be opened, and nil
// if it does not exist any more: after a reboot, nothing of it is left.
func (d *Driver) existing(key string) (*segment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.segments[key]; s != nil {
		return s, nil
	}
	s := &segment{key: key, dir: filepath.Join(d.segmentsDir(), key)}
	if !namespace.IsPinned(s.pin()) || atomicfile.ReadJSON(s.recordPath(), &s.rec) != nil {
		return nil, nil
	}
	if err := s.open(d); err != nil {
		return nil, err
	}
	d.segments[key] = s
	return s, nil
}

// findUplink finds the NIC of a tag in the agent's namespace or, for a VLAN,
// in the segment of the NIC's untagged network. It refuses one that carries
// an address: taking it away would cut the machine off.
func (d *Driver) findUplink(r segmentRecord) (*netlink.Handle, netlink.Link, error) {
	link, err := d.host.LinkByName(r.Uplink)
	if isNoLink(err) && r.VLAN != 0 {
		if s := d.segments[segmentKey(r.Tag, 0)]; s != nil {
			if link, err = s.route.LinkByName(r.Uplink); err == nil {
				return s.route, link, nil
			}
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot find interface %s of NIC tag %s: %w", r.Uplink, r.Tag, err)
	}
	if r.VLAN != 0 {
		return d.host, link, nil
	}
	addrs, err := d.host.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read addresses of interface %s: %w", r.Uplink, err)
	}
	for _, a := range addrs {
		if !a.IP.IsLinkLocalUnicast() {
			return nil, nil, fmt.Errorf("cannot use interface %s of NIC tag %s: it carries the machine's address %s; give the tag an interface of its own", r.Uplink, r.Tag, a.IP)
		}
	}
	return d.host, link, nil
}

func isNoLink(err error) bool {
	var none netlink.LinkNotFoundError
	return errors.As(err, &none)
}

// writeJSON writes a record before what it tells of is made. A record cut off
// by a crash therefore tells of nothing, so neither a sync nor a rename is
// needed: they would be half of what attaching a NIC costs.
func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot write record: %w", err)
	}
	return nil
}
