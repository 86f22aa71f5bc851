package network

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// sentry stands outside of a container that has rules or a rate, at the outer
// end of its veth, and holds what a program inside could pass by: whoever may
// send raw frames (CAP_NET_RAW) sends them behind the container's own wall, and
// past the queue that holds its rate. What both let through is the same.
//
// The kernel tracks no connections there, so the sentry remembers itself who
// spoke to whom first: flows that came in by the rules may be answered, and so
// may those that went out by them.
type sentry struct {
	rate   int64 // bits that may come from the container in a second; 0: any
	closed bool  // it judges what begins a conversation
	rules  []model.FirewallRule
	sets   map[string]map[netip.Prefix]bool // that rules use, by id
	open   map[openPort]bool
	// friends and peers are own containers, by network and by address.
	friends []netip.Prefix
	peers   map[netip.Addr]bool
}

// openPort is a published port as it is on the wire.
type openPort struct {
	protocol byte
	port     uint16
}

// newSentry says what stands outside of a port; nil is nothing.
func newSentry(w *wall, p port) *sentry {
	s := &sentry{rate: p.Rate}
	if w == nil || len(w.rules) == 0 || !slices.Contains(w.closed, p.Interface) {
		if s.rate > 0 {
			return s
		}
		return nil
	}
	s.closed, s.rules, s.sets, s.friends = true, w.rules, w.sets, p.Subnets
	s.open, s.peers = map[openPort]bool{}, map[netip.Addr]bool{}
	for _, m := range w.maps {
		if m.link == p.Interface {
			s.open[openPort{m.protocol, m.Port}] = true
		}
	}
	for who := range w.peers {
		if who.link == p.Interface {
			s.peers[who.address] = true
		}
	}
	return s
}

const sentryPrefix = "sentry-"

func sentryTable(outer string) *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyNetdev, Name: sentryPrefix + outer}
}

// post makes a port's sentry what it must be. The port is there, and the caller
// holds b.mu.
func (d *Driver) post(b *sandbox, s *segment, p port) error {
	want, has := newSentry(b.wall, p), b.sentries[p.Outer]
	if reflect.DeepEqual(want, has) {
		return nil
	}
	if want == nil {
		return b.relieve(s, p)
	}
	if b.sentries == nil {
		b.sentries = map[string]*sentry{}
	}
	b.sentries[p.Outer] = &sentry{} // there is one, whatever it does
	err := transact(s.ns, func(c *nftables.Conn) error { return want.build(c, p.Outer, has) })
	if err != nil {
		return fmt.Errorf("cannot set the firewall outside of container %s: %w", model.ShortID(b.id), err)
	}
	b.sentries[p.Outer] = want
	return nil
}

// postAll is post for all ports of a container that has them already.
func (d *Driver) postAll(b *sandbox) error {
	for _, p := range b.rec.Ports {
		s, err := d.segmentIfAny(p.Segment)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		if err := d.post(b, s, p); err != nil {
			return err
		}
	}
	return nil
}

// relieve removes a port's sentry, if there is one.
func (b *sandbox) relieve(s *segment, p port) error {
	if b.sentries[p.Outer] == nil {
		return nil
	}
	if err := dropTables(s, sentryTable(p.Outer)); err != nil {
		return err
	}
	delete(b.sentries, p.Outer)
	return nil
}

func dropTables(s *segment, tables ...*nftables.Table) error {
	err := transact(s.ns, func(c *nftables.Conn) error {
		for _, t := range tables {
			removeTable(c, t.Family, t.Name)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot remove the firewall outside of a container: %w", err)
	}
	return nil
}

// findSentries learns which ports have sentries, and removes those of ports
// that are gone: their driver was killed in between. The caller holds d.mu, and
// nobody else uses d yet.
func (d *Driver) findSentries(s *segment) error {
	var tables []*nftables.Table
	err := namespace.Enter(s.ns, func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		tables, err = c.ListTablesOfFamily(nftables.TableFamilyNetdev)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot list the firewalls outside of containers: %w", err)
	}
	owners := map[string]*sandbox{}
	for _, b := range d.boxes {
		for _, p := range slices.Concat(b.rec.Ports, b.rec.Leaving) {
			owners[p.Outer] = b
		}
	}
	var stale []*nftables.Table
	for _, t := range tables {
		outer, ours := strings.CutPrefix(t.Name, sentryPrefix)
		switch b := owners[outer]; {
		case !ours:
		case b == nil:
			stale = append(stale, sentryTable(outer))
		default:
			if b.sentries == nil {
				b.sentries = map[string]*sentry{}
			}
			b.sentries[outer] = &sentry{}
		}
	}
	if len(stale) == 0 {
		return nil
	}
	return dropTables(s, stale...)
}

// setNames are the ids of a sentry's sets of addresses, in order.
func (s *sentry) setNames() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.sets))
}

// ported are the protocols that have ports where TCP has them.
var ported = []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP}
