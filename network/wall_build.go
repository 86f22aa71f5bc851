package network

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/resolver"
)

// Registers of a lookup key (interface, protocol, port).
const (
	regProtocol = 12 // NFT_REG32_04, behind the interface's name
	regPort     = 13
	regTarget   = 14 // what a map says
)

// wallTable are the sets of a container's table.
type wallTable struct {
	table *nftables.Table
	open  *nftables.Set    // ports that are open, as packets have them in the end
	moved *nftables.Set    // ports that lead to other ones
	peers [2]*nftables.Set // IPv4, IPv6
	sets  map[string][2]*nftables.Set
}

// newWallTable names the sets of a wall. It says nothing to the kernel.
func newWallTable(w *wall) *wallTable {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: inetTable}
	id := uint32(0)
	set := func(name string, types ...nftables.SetDatatype) *nftables.Set {
		id++
		s := &nftables.Set{Table: table, ID: id, Name: name, KeyType: types[0]}
		if len(types) > 1 {
			s.KeyType = nftables.MustConcatSetType(types...)
			s.Concatenation = true
		}
		return s
	}
	t := &wallTable{table: table, sets: map[string][2]*nftables.Set{}}
	t.open = set("open", nftables.TypeIFName, nftables.TypeInetProto, nftables.TypeInetService)
	t.moved = set("moved", nftables.TypeIFName, nftables.TypeInetProto, nftables.TypeInetService)
	t.moved.IsMap, t.moved.DataType = true, nftables.TypeInetService
	t.peers = [2]*nftables.Set{
		set("peers4", nftables.TypeIFName, nftables.TypeIPAddr), set("peers6", nftables.TypeIFName, nftables.TypeIP6Addr),
	}
	for _, name := range slices.Sorted(maps.Keys(w.sets)) {
		short := shortName(name)
		pair := [2]*nftables.Set{set("a"+short+"4", nftables.TypeIPAddr), set("a"+short+"6", nftables.TypeIP6Addr)}
		for _, s := range pair {
			s.Interval = hasRanges(w.sets[name])
		}
		t.sets[name] = pair
	}
	return t
}

// shortName is that of a set in the kernel, which takes no longer ones.
func shortName(set string) string {
	sum := sha256.Sum256([]byte(set))
	return hex.EncodeToString(sum[:8])
}

// rebuild makes the whole table anew.
func (w *wall) rebuild(c *nftables.Conn) error {
	renew(c, nftables.TableFamilyINet, inetTable)
	return w.build(c)
}

// build makes the table where there is none. That is quicker: when a table is
// dropped, the kernel has everybody wait until nobody can still be in it.
func (w *wall) build(c *nftables.Conn) error {
	t := newWallTable(w)
	c.AddTable(t.table)
	if err := w.addSets(c, t); err != nil {
		return err
	}
	if w.hasMoved() {
		in := baseChain(c, t.table, "prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, nftables.ChainPolicyAccept)
		addRule(c, in, portKey(), []expr.Any{
			&expr.Lookup{SourceRegister: regLink, DestRegister: regTarget, IsDestRegSet: true, SetName: t.moved.Name, SetID: t.moved.ID},
			&expr.Redir{RegisterProtoMin: regTarget},
		})
	}
	w.leadToResolver(c, t)
	w.holdQuestions(c, t)
	if len(w.closed) == 0 {
		return nil
	}
	w.addInput(c, t)
	w.addOutput(c, t)
	return nil
}

// leadToResolver has questions to the resolver's address find it at its port.
func (w *wall) leadToResolver(c *nftables.Conn, t *wallTable) {
	if w.dns.UDP == 0 {
		return
	}
	out := baseChain(c, t.table, "names", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, nftables.ChainPolicyAccept)
	for _, way := range []struct {
		protocol byte
		port     uint16
	}{{unix.IPPROTO_UDP, w.dns.UDP}, {unix.IPPROTO_TCP, w.dns.TCP}} {
		addRule(c, out, destination.within(netip.PrefixFrom(resolver.Address, 32)), isProtocol(way.protocol),
			destinationPorts(resolver.Port, resolver.Port), []expr.Any{
				&expr.Immediate{Register: 1, Data: resolver.Address.AsSlice()},
				&expr.Immediate{Register: 2, Data: []byte{byte(way.port >> 8), byte(way.port)}},
				&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2, Specified: true},
			})
	}
}

// holdQuestions has the kernel drop what a container asks its resolver beyond
// what that would answer: reading questions only to drop them is work, and is
// done for all containers by one process.
func (w *wall) holdQuestions(c *nftables.Conn, t *wallTable) {
	if w.dns.UDP == 0 {
		return
	}
	out := baseChain(c, t.table, "questions", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
	addRule(c, out, destination.within(netip.PrefixFrom(resolver.Address, 32)), isProtocol(unix.IPPROTO_UDP), destinationPorts(w.dns.UDP, w.dns.UDP), []expr.Any{
		&expr.Limit{Type: expr.LimitTypePkts, Rate: questionsPerSecond, Burst: questionsPerSecond, Over: true, Unit: expr.LimitTimeSecond},
	}, refuse)
}

// questionsPerSecond are a few more than a resolver answers one container.
const questionsPerSecond = resolver.QuestionsPerSecond + 500

func (w *wall) addSets(c *nftables.Conn, t *wallTable) error {
	var open, moved []nftables.SetElement
	for _, m := range w.maps {
		if m.Port != m.Target { // let in by having been moved
			moved = append(moved, nftables.SetElement{Key: m.key(), Val: []byte{byte(m.Target >> 8), byte(m.Target)}})
		} else {
			open = append(open, nftables.SetElement{Key: m.key()})
		}
	}
	// Sets that nobody looks at are not made: each would cost as much as a rule.
	if w.hasOpen() {
		if err := c.AddSet(t.open, open); err != nil {
			return err
		}
	}
	if w.hasMoved() {
		if err := c.AddSet(t.moved, moved); err != nil {
			return err
		}
	}
	if w.shared {
		var v4, v6 []nftables.SetElement
		for p := range w.peers {
			v4, v6 = byFamily(v4, v6, p.address, p.key())
		}
		if err := eachFamilyAlways(c.AddSet, t.peers, v4, v6); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.sets)) {
		v4, v6 := setElements(w.sets[id], false)
		if err := eachFamilyAlways(c.AddSet, t.sets[id], v4, v6); err != nil {
			return err
		}
	}
	return nil
}

func eachFamilyAlways(do func(*nftables.Set, []nftables.SetElement) error, sets [2]*nftables.Set, v4, v6 []nftables.SetElement) error {
	if err := do(sets[0], v4); err != nil {
		return err
	}
	return do(sets[1], v6)
}

// addInput closes the interfaces to who is not let in.
func (w *wall) addInput(c *nftables.Conn, t *wallTable) {
	input := baseChain(c, t.table, "input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
	closed := c.AddChain(&nftables.Chain{Table: t.table, Name: "closed"})
	for _, link := range w.closed {
		addRule(c, input, comes(link), jump(closed.Name))
	}
	addRule(c, closed, answers(), accept)
	for _, kind := range []byte{icmp6Solicit, icmp6Advert} { // without them there is no IPv6
		addRule(c, closed, isProtocol(unix.IPPROTO_ICMPV6), transportByte(0, kind), accept)
	}
	addRules(c, closed, w.rules, t.sets, true, accept)
	addRule(c, closed, isProtocol(unix.IPPROTO_ICMP), transportByte(0, icmpEchoRequest), accept)
	addRule(c, closed, isProtocol(unix.IPPROTO_ICMPV6), transportByte(0, icmp6EchoRequest), accept)
	if w.hasMoved() {
		addRule(c, closed, wasMoved(), accept)
	}
	if w.hasOpen() {
		addRule(c, closed, portKey(), []expr.Any{&expr.Lookup{SourceRegister: regLink, SetName: t.open.Name, SetID: t.open.ID}}, accept)
	}
	for _, link := range slices.Sorted(maps.Keys(w.friends)) {
		for _, p := range w.friends[link] {
			addRule(c, closed, comes(link), source.within(p), accept)
		}
	}
	if w.shared {
		for i, set := range t.peers {
			addRule(c, closed, fromPeer(set, i == 1), accept)
		}
	}
	addRule(c, closed, refuse)
}

// fromPeer matches interface and source by a set.
func fromPeer(set *nftables.Set, v6 bool) []expr.Any {
	match, offset, length := source.isFamily(v6)
	return append(match,
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: regLink},
		&expr.Payload{DestRegister: regMAC, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Lookup{SourceRegister: regLink, SetName: set.Name, SetID: set.ID},
	)
}

// ctStatusMoved marks connections whose destination was changed on their way
// in (IPS_DST_NAT).
const ctStatusMoved = 1 << 5

// wasMoved matches connections whose port was mapped.
func wasMoved() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(ctStatusMoved), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// addOutput stops what rules say must not go out.
func (w *wall) addOutput(c *nftables.Conn, t *wallTable) {
	if !slices.ContainsFunc(w.rules, func(r model.FirewallRule) bool { return !r.Inbound }) {
		return
	}
	output := baseChain(c, t.table, "output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
	opening := c.AddChain(&nftables.Chain{Table: t.table, Name: "opening"})
	for _, link := range w.closed {
		addRule(c, output, leaves(link), jump(opening.Name))
	}
	addRule(c, opening, answers(), accept)
	for _, kind := range []byte{icmp6Solicit, icmp6Advert} {
		addRule(c, opening, isProtocol(unix.IPPROTO_ICMPV6), transportByte(0, kind), accept)
	}
	addRules(c, opening, w.rules, t.sets, false, accept)
}

// portKey loads interface, protocol and destination port of a packet.
func portKey() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: regLink},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regProtocol},
		&expr.Payload{DestRegister: regPort, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
}
