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

// segmentSysctls keep the segment's namespace from speaking for itself, and
// bridged frames out of the rules for packets.
var segmentSysctls = map[string]string{
	"ipv6/conf/all/disable_ipv6":       "1",
	"ipv6/conf/default/disable_ipv6":   "1",
	"ipv4/ip_forward":                  "0",
	"bridge/bridge-nf-call-iptables":   "0",
	"bridge/bridge-nf-call-ip6tables":  "0",
	"bridge/bridge-nf-call-arptables":  "0",
	"ipv4/conf/all/arp_ignore":         "1", // an address is of one interface
	"ipv4/conf/all/send_redirects":     "0",
	"ipv4/conf/default/send_redirects": "0",
}

// segmentRecord is written before a segment is made. It says which interface
// of the agent's namespace is in it, so that it can be given back, or which
// fabric it is.
type segmentRecord struct {
	Tag    string `json:"tag,omitempty"`
	VLAN   uint16 `json:"vlan,omitempty"`
	Uplink string `json:"uplink,omitempty"` // the NIC
	WasUp  bool   `json:"was_up,omitempty"` // how the NIC was found

	Fabric *fabricRecord `json:"fabric,omitempty"`
}

// link is the name of the interface that leads from the bridge to other
// machines.
func (r segmentRecord) link() string {
	switch {
	case r.Fabric != nil:
		return tunnelName
	case r.VLAN != 0:
		return fmt.Sprintf("vlan%d", r.VLAN)
	}
	return r.Uplink
}

// segment is one wire as it exists on this node: a namespace with a bridge and
// a way to other machines. External networks with the same NIC tag and VLAN
// share it, as they share the wire; each fabric has one of its own.
type segment struct {
	key    string
	dir    string
	rec    segmentRecord
	ns     *os.File
	route  *netlink.Handle
	create *nl.SocketHandle // makes veths
	bridge int              // index
	mtu    int              // the most that it carries
	guard  *guard
	voice  *announcer
	tunnel *tunnel // of a fabric
}

// segmentKey names the segment of a network. Tags hold no dots and no colons.
func segmentKey(n *model.Network) string {
	if n.Kind == model.NetworkFabric {
		return fmt.Sprintf("fabric:%d", n.VNI)
	}
	return wireKey(n.NICTag, n.VLAN)
}

func wireKey(tag string, vlan uint16) string { return fmt.Sprintf("%s.%d", tag, vlan) }

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
	if s.rec.Fabric != nil {
		err = s.ensureFabric(d)
	} else {
		err = s.ensureUplink(d)
	}
	if err != nil {
		return err
	}
	s.voice, err = openAnnouncer(s.ns, s.bridge, s.rec.Fabric == nil)
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
// before a port forwards; multicast goes to every port. Its MAC follows from
// the segment, so it does not change as ports come and go, and a fabric's
// gateway has the same one on every node.
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

// remove takes the segment away and gives back what it took from the agent's
// namespace.
func (s *segment) remove(d *Driver) error {
	var err error
	if s.rec.Fabric != nil {
		err = s.dismantleFabric(d)
	} else {
		err = s.giveBackUplink(d.hostNS, d.host)
	}
	if err != nil {
		return err
	}
	if err := failpoint.Hit("network/segment/before-unpin"); err != nil {
		return err
	}
	s.close()
	return s.removeFiles()
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

// segment returns the open segment of a network, making it if need be. The
// caller holds d.mu.
func (d *Driver) segment(n *model.Network) (*segment, error) {
	key := segmentKey(n)
	if s := d.segments[key]; s != nil {
		return s, nil
	}
	s := d.recorded(key)
	if s == nil {
		rec, err := d.newSegmentRecord(n)
		if err != nil {
			return nil, err
		}
		s = &segment{key: key, dir: d.segmentDir(key), rec: rec}
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

// newSegmentRecord says what a segment that is not there is going to be.
func (d *Driver) newSegmentRecord(n *model.Network) (segmentRecord, error) {
	if n.Kind == model.NetworkFabric {
		return d.newFabricRecord(n)
	}
	uplink, ok := d.cfg.Uplinks[n.NICTag]
	if !ok {
		return segmentRecord{}, model.Errorf(model.KindUnavailable, "this node has no NIC with the tag %s of network %s", n.NICTag, n.Name)
	}
	rec := segmentRecord{Tag: n.NICTag, VLAN: n.VLAN, Uplink: uplink}
	if _, link, err := d.findUplink(rec); err == nil {
		rec.WasUp = link.Attrs().Flags&net.FlagUp != 0
	}
	return rec, nil
}

// existing returns the segment of that key if it is or can be opened, and nil
// if it does not exist any more: after a reboot, nothing of it is left. The
// caller holds d.mu.
func (d *Driver) existing(key string) (*segment, error) {
	if s := d.segments[key]; s != nil {
		return s, nil
	}
	s := d.recorded(key)
	if s == nil {
		return nil, nil
	}
	if err := s.open(d); err != nil {
		return nil, err
	}
	d.segments[key] = s
	return s, nil
}

// recorded returns a segment that stands, not opened, or nil.
func (d *Driver) recorded(key string) *segment {
	s := &segment{key: key, dir: d.segmentDir(key)}
	if !namespace.IsPinned(s.pin()) || atomicfile.ReadJSON(s.recordPath(), &s.rec) != nil {
		return nil
	}
	return s
}

func (d *Driver) segmentDir(key string) string { return filepath.Join(d.segmentsDir(), key) }

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
