package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
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
// enters the bridge through a container's port is dropped unless it is IPv4
// or ARP, untagged, and its port, source MAC and source (or ARP sender)
// address are an element of one set. The rules never change; a NIC is one
// element.
type guard struct {
	mu   sync.Mutex
	ns   *os.File
	conn *nftables.Conn // nil after a failure: opened again on next use
	set  *nftables.Set
}

// openGuard puts the rules into the segment's namespace, in one transaction
// that keeps the elements which are there.
func openGuard(ns *os.File, uplink string) (*guard, error) {
	table := &nftables.Table{Family: nftables.TableFamilyBridge, Name: guardTable}
	key, err := nftables.ConcatSetType(nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIPAddr)
	if err != nil {
		return nil, fmt.Errorf("cannot describe guard: %w", err)
	}
	g := &guard{ns: ns, set: &nftables.Set{Table: table, ID: 1, Name: guardSet, KeyType: key, Concatenation: true}}
	drop := nftables.ChainPolicyDrop
	chain := &nftables.Chain{
		Table: table, Name: guardChain, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRef(-300), Policy: &drop,
	}
	err = g.commit(func(c *nftables.Conn) error {
		c.AddTable(table)
		if err := c.AddSet(g.set, nil); err != nil {
			return err
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

// guardRules are the rules of the chain, whose policy is to drop. The type of
// a frame is read from the frame itself: there a VLAN tag shows, so tagged
// frames match no rule and cannot hop to another network.
func guardRules(uplink string) [][]expr.Any {
	frameIs := func(etherType ...byte) []expr.Any {
		return matchPayload(expr.PayloadBaseLLHeader, 12, etherType...)
	}
	known := func(macBase expr.PayloadBase, macOffset, ipOffset uint32) []expr.Any {
		return []expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: regLink},
			&expr.Payload{DestRegister: regMAC, Base: macBase, Offset: macOffset, Len: 6},
			&expr.Payload{DestRegister: regIP, Base: expr.PayloadBaseNetworkHeader, Offset: ipOffset, Len: 4},
			&expr.Lookup{SourceRegister: regLink, SetName: guardSet, SetID: 1},
		}
	}
	verdict := func(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }
	rule := func(parts ...[]expr.Any) (all []expr.Any) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	const (
		frameSource = 6  // in the Ethernet header
		ipProtocol  = 9  // in the IPv4 header
		ipSource    = 12 // in the IPv4 header
		arpMAC      = 8  // sender's, in the ARP packet
		arpIP       = 14 // sender's, in the ARP packet
	)
	ipv4, arp := frameIs(0x08, 0x00), frameIs(0x08, 0x06)
	return [][]expr.Any{
		rule([]expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: regLink},
			&expr.Cmp{Op: expr.CmpOpEq, Register: regLink, Data: linkKey(uplink)},
		}, verdict(expr.VerdictAccept)),
		// no DHCP server: UDP from port 67
		rule(ipv4, matchPayload(expr.PayloadBaseNetworkHeader, ipProtocol, unix.IPPROTO_UDP),
			matchPayload(expr.PayloadBaseTransportHeader, 0, 0, 67), verdict(expr.VerdictDrop)),
		rule(ipv4, known(expr.PayloadBaseLLHeader, frameSource, ipSource), verdict(expr.VerdictAccept)),
		// ARP for IPv4 over Ethernet, honest in the frame and in the packet
		rule(arp, matchPayload(expr.PayloadBaseNetworkHeader, 0, 0, 1, 8, 0, 6, 4),
			known(expr.PayloadBaseLLHeader, frameSource, arpIP),
			known(expr.PayloadBaseNetworkHeader, arpMAC, arpIP), verdict(expr.VerdictAccept)),
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

func element(link string, mac net.HardwareAddr, a netip.Addr) []nftables.SetElement {
	key := linkKey(link)
	key = append(append(key, mac...), 0, 0)
	v4 := a.As4()
	return []nftables.SetElement{{Key: append(key, v4[:]...)}}
}

// allow lets a port speak with one MAC and one address.
func (g *guard) allow(link string, mac net.HardwareAddr, a netip.Addr) error {
	err := g.commit(func(c *nftables.Conn) error { return c.SetAddElements(g.set, element(link, mac, a)) })
	if err != nil {
		return fmt.Errorf("cannot allow address on port: %w", err)
	}
	return nil
}

// forbid takes back what allow gave. The port is mute from then on.
func (g *guard) forbid(link string, mac net.HardwareAddr, a netip.Addr) error {
	err := g.commit(func(c *nftables.Conn) error { return c.SetDeleteElements(g.set, element(link, mac, a)) })
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot forbid address on port: %w", err)
	}
	return nil
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
