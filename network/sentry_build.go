package network

import (
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Of the flows that a sentry remembers: how many of each family in each
// direction, and for how long after the last packet. It is longer than
// connections last that say nothing but to keep themselves alive
// (tcp(7): two hours).
const (
	flowsKept = 1 << 16
	flowTime  = 3 * time.Hour
	pieceTime = 30 * time.Second // between the pieces of one packet (RFC 791)
)

// Registers of a flow's key: the container's address, the other's, protocol,
// the container's port, the other's. Each register has four bytes.
const regFlow = unix.NFT_REG32_00

// sentrySets are what a sentry's rules look at.
type sentrySets struct {
	table   *nftables.Table
	ported  *nftables.Set
	open    *nftables.Set
	came    [2]*nftables.Set // flows that others began, IPv4 and IPv6
	went    [2]*nftables.Set // flows that the container began
	pieces  *nftables.Set    // packets of which the first piece passed
	peers   [2]*nftables.Set
	byRules map[string][2]*nftables.Set
}

// newSentrySets names them, with numbers that hold within one transaction.
func newSentrySets(outer string, s, has *sentry) *sentrySets {
	t, id := sentryTable(outer), uint32(0)
	set := func(name string, types ...nftables.SetDatatype) *nftables.Set {
		id++
		one := &nftables.Set{Table: t, ID: id, Name: name, KeyType: types[0]}
		if len(types) > 1 {
			one.KeyType, one.Concatenation = nftables.MustConcatSetType(types...), true
		}
		return one
	}
	flows := func(name string, address nftables.SetDatatype) *nftables.Set {
		one := set(name, address, address, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeInetService)
		one.Dynamic, one.HasTimeout, one.Timeout, one.Size = true, true, flowTime, flowsKept
		return one
	}
	a4, a6 := nftables.TypeIPAddr, nftables.TypeIP6Addr
	all := &sentrySets{
		table: t, ported: set("ported", nftables.TypeInetProto), open: set("open", nftables.TypeInetProto, nftables.TypeInetService),
		came: [2]*nftables.Set{flows("came4", a4), flows("came6", a6)}, went: [2]*nftables.Set{flows("went4", a4), flows("went6", a6)},
		pieces:  set("pieces", a4, a4, nftables.TypeInetProto, nftables.TypeInetService),
		peers:   [2]*nftables.Set{set("peers4", a4), set("peers6", a6)},
		byRules: map[string][2]*nftables.Set{},
	}
	all.pieces.Dynamic, all.pieces.HasTimeout, all.pieces.Timeout, all.pieces.Size = true, true, pieceTime, flowsKept
	for _, name := range slices.Concat(s.setNames(), has.setNames()) {
		if _, known := all.byRules[name]; known {
			continue
		}
		short := shortName(name)
		pair := [2]*nftables.Set{set("a"+short+"4", a4), set("a"+short+"6", a6)}
		pair[0].Interval, pair[1].Interval = true, true
		all.byRules[name] = pair
	}
	return all
}

// build makes the sentry's table, or of that of has its own, without
// forgetting flows.
func (s *sentry) build(c *nftables.Conn, outer string, has *sentry) error {
	t := newSentrySets(outer, s, has)
	c.AddTable(t.table)
	chain := func(name string, hook *nftables.ChainHook) *nftables.Chain {
		one := &nftables.Chain{Table: t.table, Name: name}
		if hook != nil {
			accept := nftables.ChainPolicyAccept
			one.Type, one.Hooknum, one.Priority, one.Policy, one.Device = nftables.ChainTypeFilter, hook, nftables.ChainPriorityFilter, &accept, outer
		}
		c.AddChain(one)
		c.FlushChain(one)
		return one
	}
	// from is what comes from the container, and to what goes there.
	from, to := chain("from", nftables.ChainHookIngress), chain("to", nftables.ChainHookEgress)
	passed, begins, comes := chain("passed", nil), chain("begins", nil), chain("comes", nil)
	if s.rate > 0 {
		addRule(c, from, fasterThan(s.rate), refuse)
	}
	if err := s.fillSets(c, t, has); err != nil || !s.closed {
		return err
	}
	t.passPieces(c, from, passed)
	for _, kind := range [][2]uint16{{unix.ETH_P_IP, 0}, {unix.ETH_P_IPV6, 1}} {
		for _, hasPorts := range []bool{true, false} {
			own := t.flow(source, kind[1] == 1, hasPorts)
			other := t.flow(destination, kind[1] == 1, hasPorts)
			addRule(c, begins, own, remember(t.went[kind[1]]), jumpTo(passed))
			addRule(c, comes, other, remember(t.came[kind[1]]), jumpTo(passed))
			addRule(c, from, own, among(t.came[kind[1]]), remember(t.came[kind[1]]), jumpTo(passed))
			addRule(c, to, other, among(t.went[kind[1]]), remember(t.went[kind[1]]), jumpTo(passed))
		}
	}
	addRule(c, begins, accept) // what has no flow, or finds no room for one
	addRule(c, comes, accept)
	s.judge(c, t, from, to, begins, comes)
	return nil
}

// judge adds what decides about the beginning of a conversation, as the wall
// does (addInput, addOutput).
func (s *sentry) judge(c *nftables.Conn, t *sentrySets, from, to, begins, comes *nftables.Chain) {
	for _, chain := range []*nftables.Chain{from, to} {
		for _, kind := range []byte{icmp6Solicit, icmp6Advert} {
			addRule(c, chain, isProtocol(unix.IPPROTO_ICMPV6), transportByte(0, kind), accept)
		}
		addRule(c, chain, isNoIP(), accept) // the guard knows
	}
	addRules(c, from, s.rules, t.byRules, false, jumpTo(begins))
	addRule(c, from, jumpTo(begins))

	for _, kind := range []byte{icmpUnreachable, icmpTimeExceeded, icmpParameter} { // about what went out
		addRule(c, to, isProtocol(unix.IPPROTO_ICMP), transportByte(0, kind), accept)
	}
	for kind := byte(1); kind <= 4; kind++ {
		addRule(c, to, isProtocol(unix.IPPROTO_ICMPV6), transportByte(0, kind), accept)
	}
	addRules(c, to, s.rules, t.byRules, true, jumpTo(comes))
	addRule(c, to, isProtocol(unix.IPPROTO_ICMP), transportByte(0, icmpEchoRequest), jumpTo(comes))
	addRule(c, to, isProtocol(unix.IPPROTO_ICMPV6), transportByte(0, icmp6EchoRequest), jumpTo(comes))
	addRule(c, to, []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regFlow},
		&expr.Payload{DestRegister: regFlow + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: regFlow, SetName: t.open.Name, SetID: t.open.ID},
	}, jumpTo(comes))
	for _, p := range s.friends {
		addRule(c, to, source.within(p), jumpTo(comes))
	}
	for i, set := range t.peers {
		addRule(c, to, source.in(set, i == 1), jumpTo(comes))
	}
	// pieces but the first one have passed by their first, or pass to nobody
	addRule(c, to, isPiece(), accept)
	addRule(c, to, refuse)
}

// fillSets makes the sets what they must be. Flows stay as they are.
func (s *sentry) fillSets(c *nftables.Conn, t *sentrySets, has *sentry) error {
	if !s.closed && (has == nil || !has.closed) {
		return nil
	}
	fill := func(set *nftables.Set, elements []nftables.SetElement) error {
		if err := c.AddSet(set, nil); err != nil {
			return err
		}
		c.FlushSet(set)
		return c.SetAddElements(set, elements)
	}
	var protocols, open []nftables.SetElement
	for _, p := range ported {
		protocols = append(protocols, nftables.SetElement{Key: []byte{p}})
	}
	for o := range s.open {
		open = append(open, nftables.SetElement{Key: []byte{o.protocol, 0, 0, 0, byte(o.port >> 8), byte(o.port), 0, 0}})
	}
	var v4, v6 []nftables.SetElement
	for a := range s.peers {
		v4, v6 = byFamily(v4, v6, a, a.AsSlice())
	}
	for _, one := range []struct {
		set      *nftables.Set
		elements []nftables.SetElement
	}{{t.ported, protocols}, {t.open, open}, {t.peers[0], v4}, {t.peers[1], v6}} {
		if err := fill(one.set, one.elements); err != nil {
			return err
		}
	}
	for _, set := range []*nftables.Set{t.came[0], t.came[1], t.went[0], t.went[1], t.pieces} {
		if err := c.AddSet(set, nil); err != nil {
			return err
		}
	}
	for name, pair := range t.byRules {
		if _, used := s.sets[name]; !used {
			c.DelSet(pair[0])
			c.DelSet(pair[1])
			continue
		}
		v4, v6 := setElements(s.sets[name], true)
		if err := fill(pair[0], v4); err != nil {
			return err
		}
		if err := fill(pair[1], v6); err != nil {
			return err
		}
	}
	return nil
}

// flow loads the key of a packet's flow; own is the side that the container is
// on. It matches packets of one family that have ports, or have none.
func (t *sentrySets) flow(own side, v6, hasPorts bool) []expr.Any {
	match, ownAt, length := own.isFamily(v6)
	_, otherAt, _ := (!own).isFamily(v6)
	words := length / 4
	protocol := uint32(regFlow) + 2*words
	ownPort, otherPort := uint32(0), uint32(2)
	if own == destination {
		ownPort, otherPort = 2, 0
	}
	match = append(match,
		&expr.Payload{DestRegister: regFlow, Base: expr.PayloadBaseNetworkHeader, Offset: ownAt, Len: length},
		&expr.Payload{DestRegister: regFlow + words, Base: expr.PayloadBaseNetworkHeader, Offset: otherAt, Len: length},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: protocol},
		&expr.Lookup{SourceRegister: protocol, SetName: t.ported.Name, SetID: t.ported.ID, Invert: !hasPorts},
	)
	if !hasPorts {
		return append(match,
			&expr.Immediate{Register: protocol + 1, Data: []byte{0, 0}}, &expr.Immediate{Register: protocol + 2, Data: []byte{0, 0}})
	}
	return append(match,
		&expr.Payload{DestRegister: protocol + 1, Base: expr.PayloadBaseTransportHeader, Offset: ownPort, Len: 2},
		&expr.Payload{DestRegister: protocol + 2, Base: expr.PayloadBaseTransportHeader, Offset: otherPort, Len: 2},
	)
}

func among(flows *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: regFlow, SetName: flows.Name, SetID: flows.ID}}
}

// remember keeps a flow, or keeps it for longer.
func remember(flows *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Dynset{SrcRegKey: regFlow, SetName: flows.Name, SetID: flows.ID, Operation: uint32(unix.NFT_DYNSET_OP_UPDATE), Timeout: flowTime}}
}

// passPieces lets the pieces of a packet from the container pass whose first
// one did, which alone tells of ports (RFC 791, section 3.2).
func (t *sentrySets) passPieces(c *nftables.Conn, from, passed *nftables.Chain) {
	key := []expr.Any{
		&expr.Payload{DestRegister: regFlow, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Payload{DestRegister: regFlow + 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regFlow + 2},
		&expr.Payload{DestRegister: regFlow + 3, Base: expr.PayloadBaseNetworkHeader, Offset: 4, Len: 2},
	}
	addRule(c, from, isPiece(), key, []expr.Any{&expr.Lookup{SourceRegister: regFlow, SetName: t.pieces.Name, SetID: t.pieces.ID}}, accept)
	addRule(c, passed, hasMorePieces(), key, []expr.Any{&expr.Dynset{
		SrcRegKey: regFlow, SetName: t.pieces.Name, SetID: t.pieces.ID, Operation: uint32(unix.NFT_DYNSET_OP_UPDATE), Timeout: pieceTime,
	}})
	addRule(c, passed, accept)
}

// isPiece matches pieces of IPv4 packets but for the first, and hasMorePieces
// those that others follow.
func isPiece() []expr.Any       { return fragmentBits(0x1f, 0xff) }
func hasMorePieces() []expr.Any { return fragmentBits(0x20, 0) }

func fragmentBits(mask ...byte) []expr.Any {
	match, _, _ := source.isFamily(false)
	return append(match,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 6, Len: 2},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: mask, Xor: []byte{0, 0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0, 0}},
	)
}

// isNoIP matches ARP, and what the guard drops in any case.
func isNoIP() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0x08, 0x00}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0x86, 0xdd}},
	}
}

// fasterThan matches what is beyond a rate in bits a second, after what may
// come in the first second. It leaves room for what the queue inside lets
// through (setRate), which slows down where this drops.
func fasterThan(rate int64) []expr.Any {
	bytes := uint64(rate) / 8
	burst := max(bytes*burstTime/1000, leastBurst)
	return []expr.Any{&expr.Limit{Type: expr.LimitTypePktBytes, Rate: max(bytes+bytes/10, 1), Over: true, Unit: expr.LimitTimeSecond, Burst: uint32(2 * burst)}}
}

func jumpTo(chain *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain.Name}}
}
