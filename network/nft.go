package network

import (
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// The words in which this package writes rules of nftables(8). Each function
// returns the expressions of one match or statement; a rule is their sequence.

// transact carries out what fill adds as one transaction in a namespace. Only
// the socket is made in there: on a thread of its own each of the kernel's
// answers would cost a change of threads.
func transact(ns *os.File, fill func(*nftables.Conn) error) error {
	var c *nftables.Conn
	err := namespace.Enter(ns, func() (err error) {
		c, err = nftables.New(nftables.AsLasting())
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot open nftables: %w", err)
	}
	defer c.CloseLasting()
	if err := fill(c); err != nil {
		return err
	}
	return c.Flush()
}

// renew adds a table and drops what was in it before, within a transaction:
// the old rules hold until the new ones do.
func renew(c *nftables.Conn, family nftables.TableFamily, name string) *nftables.Table {
	t := &nftables.Table{Family: family, Name: name}
	c.AddTable(t)
	c.DelTable(t)
	return c.AddTable(t)
}

// removeTable drops a table, if there is one, within a transaction.
func removeTable(c *nftables.Conn, family nftables.TableFamily, name string) {
	t := &nftables.Table{Family: family, Name: name}
	c.AddTable(t)
	c.DelTable(t)
}

// baseChain adds a chain that the kernel calls at a hook.
func baseChain(c *nftables.Conn, t *nftables.Table, name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority, policy nftables.ChainPolicy) *nftables.Chain {
	return c.AddChain(&nftables.Chain{Table: t, Name: name, Type: kind, Hooknum: hook, Priority: priority, Policy: &policy})
}

// addRule appends a rule to a chain.
func addRule(c *nftables.Conn, chain *nftables.Chain, parts ...[]expr.Any) {
	c.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: slices.Concat(parts...)})
}

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }

var (
	accept = verdict(expr.VerdictAccept)
	refuse = verdict(expr.VerdictDrop)
)

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

// masquerade gives packets the address of the interface that they leave by.
func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

// comes and leaves match the interface of a packet by its name.
func comes(link string) []expr.Any  { return matchLink(expr.MetaKeyIIFNAME, linkKey(link)) }
func leaves(link string) []expr.Any { return matchLink(expr.MetaKeyOIFNAME, linkKey(link)) }

// comesFromAny and leavesByAny match all interfaces whose name begins so.
func comesFromAny(prefix string) []expr.Any { return matchLink(expr.MetaKeyIIFNAME, []byte(prefix)) }
func leavesByAny(prefix string) []expr.Any  { return matchLink(expr.MetaKeyOIFNAME, []byte(prefix)) }

func matchLink(key expr.MetaKey, name []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name}}
}

func leavesNotByAny(prefix string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte(prefix)}}
}

// isProtocol matches the protocol above IP, in IPv6 behind all extensions.
func isProtocol(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}}}
}

// transportByte matches one byte of the transport header, such as ICMP's type.
func transportByte(offset uint32, value byte) []expr.Any {
	return matchPayload(expr.PayloadBaseTransportHeader, offset, value)
}

// destinationPorts matches a range of ports. It belongs behind isProtocol.
func destinationPorts(first, last uint16) []expr.Any {
	port := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
	if first == last {
		return []expr.Any{port, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(first)}}
	}
	return []expr.Any{port, &expr.Range{
		Op: expr.CmpOpEq, Register: 1,
		FromData: binaryutil.BigEndian.PutUint16(first), ToData: binaryutil.BigEndian.PutUint16(last),
	}}
}

// inState matches connections by any of the given states.
func inState(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// answers matches what belongs to a conversation that was let through.
func answers() []expr.Any { return inState(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED) }

// side is which address of a packet is meant.
type side bool

const (
	source      side = false
	destination side = true
)

// isFamily matches packets of an address's family: offset and length say
// where such an address stands in the header.
func (s side) isFamily(v6 bool) (match []expr.Any, offset, length uint32) {
	family, offset, length := []byte{0x08, 0x00}, uint32(12), uint32(4)
	if v6 {
		family, offset, length = []byte{0x86, 0xdd}, 8, 16
	}
	if s == destination {
		offset += length
	}
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: family}}, offset, length
}

// within matches an address by a prefix.
func (s side) within(p netip.Prefix) []expr.Any {
	match, offset, length := s.isFamily(p.Addr().Is6())
	if p.Bits() == 0 {
		return match
	}
	mask := make([]byte, length)
	for bit := range p.Bits() {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	return append(match,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: length, Mask: mask, Xor: make([]byte, length)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()},
	)
}

// in matches an address by a set of the same family.
func (s side) in(set *nftables.Set, v6 bool) []expr.Any {
	match, offset, length := s.isFamily(v6)
	return append(match,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
	)
}

// native32 is a number in the order of this machine's bytes.
func native32(n uint32) []byte { return binaryutil.NativeEndian.PutUint32(n) }
