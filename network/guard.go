package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// Names within a segment's nftables.
const (
	guardTable = "spearhead"
	guardSet   = "ports"
	guardSet6  = "ports6"
	guardChain = "prerouting"
)

// Registers of a lookup key (link name, MAC, IPv4 address), one after the
// other: 16, 8 and 4 bytes wide.
const (
	regLink = unix.NFT_REG_1
	regMAC  = unix.NFT_REG_2
	regIP   = 14 // NFT_REG32_06: what follows the padded MAC
)

// guard keeps containers from speaking in another's name. Every frame that
// enters the bridge through a container's port is dropped unless it is IPv4,
// ARP or IPv6, untagged, and its port, source MAC and source address (or the
// one that it tells neighbours of) are an element of a set. The rules never
// change; an address of a NIC is one element.
type guard struct {
	mu   sync.Mutex
	ns   *os.File
	conn *nftables.Conn // nil after a failure: opened again on next use
	set  *nftables.Set  // of IPv4 addresses
	set6 *nftables.Set
}

// openGuard puts the rules into the segment's namespace, in one transaction
// that keeps the elements which are there.
func openGuard(ns *os.File, uplink string) (*guard, error) {
	table := &nftables.Table{Family: nftables.TableFamilyBridge, Name: guardTable}
	key, err := nftables.ConcatSetType(nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIPAddr)
	if err != nil {
		return nil, fmt.Errorf("cannot describe guard: %w", err)
	}
	key6, err := nftables.ConcatSetType(nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIP6Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot describe guard: %w", err)
	}
	g := &guard{
		ns:   ns,
		set:  &nftables.Set{Table: table, ID: 1, Name: guardSet, KeyType: key, Concatenation: true},
		set6: &nftables.Set{Table: table, ID: 2, Name: guardSet6, KeyType: key6, Concatenation: true},
	}
	drop := nftables.ChainPolicyDrop
	chain := &nftables.Chain{
		Table: table, Name: guardChain, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRef(-300), Policy: &drop,
	}
	err = g.commit(func(c *nftables.Conn) error {
		c.AddTable(table)
		for _, set := range []*nftables.Set{g.set, g.set6} {
			if err := c.AddSet(set, nil); err != nil {
				return err
			}
		}
		c.AddChain(chain)
		c.FlushChain(chain)
		for _, exprs := range guardRules(uplink) {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot guard bridge: %w", err)
	}
	return g, nil
}

// Offsets in headers.
const (
	frameSource = 6  // in the Ethernet header
	ipSource    = 12 // in the IPv4 header
	ip6Source   = 8  // in the IPv6 header
	arpMAC      = 8  // sender's, in the ARP packet
	arpIP       = 14 // sender's, in the ARP packet
	icmp6Target = 8  // of neighbour discovery, in the ICMPv6 header
)

// guardRules are the rules of the chain, whose policy is to drop. The type of
// a frame is read from the frame itself: there a VLAN tag shows, so tagged
// frames match no rule and cannot hop to another network.
func guardRules(uplink string) [][]expr.Any {
	ipv4, arp, ipv6 := frameIs(0x08, 0x00), frameIs(0x08, 0x06), frameIs(0x86, 0xdd)
	var tagged [][]expr.Any
	if uplink != tunnelName { // a NIC may be a trunk: other VLANs are none of this wire's business
		tagged = [][]expr.Any{slices.Concat(frameIs(0x81, 0x00), refuse), slices.Concat(frameIs(0x88, 0xa8), refuse)}
	}
	return append(append(tagged, [][]expr.Any{
		slices.Concat(comes(uplink), accept),
		// no DHCP server: UDP from port 67
		slices.Concat(ipv4, isProtocol(unix.IPPROTO_UDP), sourcePort(67), refuse),
		slices.Concat(ipv4, known(guardSet, expr.PayloadBaseLLHeader, frameSource, expr.PayloadBaseNetworkHeader, ipSource), accept),
		// ARP for IPv4 over Ethernet, honest in the frame and in the packet
		slices.Concat(arp, matchPayload(expr.PayloadBaseNetworkHeader, 0, 0, 1, 8, 0, 6, 4),
			known(guardSet, expr.PayloadBaseLLHeader, frameSource, expr.PayloadBaseNetworkHeader, arpIP),
			known(guardSet, expr.PayloadBaseNetworkHeader, arpMAC, expr.PayloadBaseNetworkHeader, arpIP), accept),
	}...), guardRules6(ipv6)...)
}

// guardRules6 are those for IPv6: containers are no routers and no DHCP
// servers, and tell neighbours of no address but their own.
func guardRules6(ipv6 []expr.Any) [][]expr.Any {
	icmp := isProtocol(unix.IPPROTO_ICMPV6)
	own := func(base expr.PayloadBase, offset uint32) []expr.Any {
		return known(guardSet6, expr.PayloadBaseLLHeader, frameSource, base, offset)
	}
	nobody := matchPayload(expr.PayloadBaseNetworkHeader, ip6Source, make([]byte, 16)...)
	target := own(expr.PayloadBaseTransportHeader, icmp6Target)
	return [][]expr.Any{
		slices.Concat(ipv6, isProtocol(unix.IPPROTO_UDP), sourcePort(547), refuse),
		slices.Concat(ipv6, icmp, transportByte(0, icmp6Router), refuse),
		slices.Concat(ipv6, icmp, transportByte(0, icmp6Redirect), refuse),
		// "is anybody there?", asked before an address is used
		slices.Concat(ipv6, icmp, transportByte(0, icmp6Solicit), nobody, target, accept),
		slices.Concat(ipv6, icmp, transportByte(0, icmp6Advert), own(expr.PayloadBaseNetworkHeader, ip6Source), target, accept),
		slices.Concat(ipv6, icmp, transportByte(0, icmp6Advert), refuse),
		slices.Concat(ipv6, own(expr.PayloadBaseNetworkHeader, ip6Source), accept),
	}
}

func frameIs(etherType ...byte) []expr.Any {
	return matchPayload(expr.PayloadBaseLLHeader, 12, etherType...)
}

// sourcePort matches it. It belongs behind isProtocol.
func sourcePort(port uint16) []expr.Any {
	return matchPayload(expr.PayloadBaseTransportHeader, 0, byte(port>>8), byte(port))
}

// known matches a frame whose port, MAC and address are an element.
func known(set string, macBase expr.PayloadBase, macOffset uint32, ipBase expr.PayloadBase, ipOffset uint32) []expr.Any {
	length, id := uint32(4), uint32(1)
	if set == guardSet6 {
		length, id = 16, 2
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: regLink},
		&expr.Payload{DestRegister: regMAC, Base: macBase, Offset: macOffset, Len: 6},
		&expr.Payload{DestRegister: regIP, Base: ipBase, Offset: ipOffset, Len: length},
		&expr.Lookup{SourceRegister: regLink, SetName: set, SetID: id},
	}
}

func matchPayload(base expr.PayloadBase, offset uint32, want ...byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regLink, Base: base, Offset: offset, Len: uint32(len(want))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regLink, Data: want},
	}
}

func linkKey(name string) []byte {
	key := make([]byte, unix.IFNAMSIZ)
	copy(key, name)
	return key
}

// elements are those of a port that speaks with one MAC and some addresses.
func elements(link string, mac net.HardwareAddr, speaks []netip.Addr) (v4, v6 []nftables.SetElement) {
	for _, a := range speaks {
		key := append(append(linkKey(link), mac...), 0, 0)
		e := nftables.SetElement{Key: append(key, a.AsSlice()...)}
		if a.Is4() {
			v4 = append(v4, e)
		} else {
			v6 = append(v6, e)
		}
	}
	return v4, v6
}

// allow lets a port speak with one MAC and some addresses.
func (g *guard) allow(link string, mac net.HardwareAddr, speaks []netip.Addr) error {
	if err := g.change((*nftables.Conn).SetAddElements, link, mac, speaks); err != nil {
		return fmt.Errorf("cannot allow address on port: %w", err)
	}
	return nil
}

// forbid takes back what allow gave. The port is mute from then on.
func (g *guard) forbid(link string, mac net.HardwareAddr, speaks []netip.Addr) error {
	for _, a := range speaks { // each for itself: one may be missing
		err := g.change((*nftables.Conn).SetDeleteElements, link, mac, []netip.Addr{a})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("cannot forbid address on port: %w", err)
		}
	}
	return nil
}

func (g *guard) change(how func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error, link string, mac net.HardwareAddr, speaks []netip.Addr) error {
	v4, v6 := elements(link, mac, speaks)
	return g.commit(func(c *nftables.Conn) error {
		if v4 != nil {
			if err := how(c, g.set, v4); err != nil {
				return err
			}
		}
		if v6 != nil {
			return how(c, g.set6, v6)
		}
		return nil
	})
}

// commit sends what fill adds as one transaction. After an error the
// connection may hold answers that nobody will read, so it is dropped.
func (g *guard) commit(fill func(*nftables.Conn) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn == nil {
		err := namespace.Enter(g.ns, func() (err error) {
			g.conn, err = nftables.New(nftables.AsLasting())
			return err
		})
		if err != nil {
			return fmt.Errorf("cannot open nftables: %w", err)
		}
	}
	err := fill(g.conn)
	if err == nil {
		err = g.conn.Flush()
	}
	if err != nil {
		g.closeConn()
	}
	return err
}

func (g *guard) closeConn() {
	if g.conn != nil {
		g.conn.CloseLasting()
		g.conn = nil
	}
}

func (g *guard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closeConn()
}
