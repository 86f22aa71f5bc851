package rack

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// way is a direction in which frames pass between a host and the others.
type way int

const (
	fromHost way = 1 << iota
	toHost
)

// block lets nothing pass between a host and the others in some ways, or, with a
// port other than 0, nothing of what the host serves there. This machine itself
// still reaches the host, and is reached by it.
func (r *Rack) block(h host, ways way, port uint16) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("cannot open nftables: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyBridge, Name: r.blockTable(h)}
	c.AddTable(table)
	c.DelTable(table)
	c.AddTable(table)
	forward := c.AddChain(&nftables.Chain{
		Table: table, Name: "forward", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	for _, rule := range []struct {
		way  way
		key  expr.MetaKey
		port uint32 // where in TCP's and UDP's headers the host's is
	}{{fromHost, expr.MetaKeyIIFNAME, sourcePort}, {toHost, expr.MetaKeyOIFNAME, destinationPort}} {
		if ways&rule.way == 0 {
			continue
		}
		e := matchLink(rule.key, expr.CmpOpEq, r.underlayLink(h))
		if port != 0 {
			e = append(e, matchPort(rule.port, port)...)
		}
		c.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: append(e, &expr.Verdict{Kind: expr.VerdictDrop})})
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("cannot isolate %s: %w", h.name, err)
	}
	return nil
}

// Offsets in the headers of TCP and UDP.
const (
	sourcePort      = 0
	destinationPort = 2
)

// matchPort matches IPv4 packets with a port at an offset. What else hosts send
// each other, ICMP, has no such values there.
func matchPort(offset uint32, port uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(unix.ETH_P_IP)},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
	}
}

// unblock lets everything pass again.
func (r *Rack) unblock(h host) error {
	return removeTables(func(t *nftables.Table) bool { return t.Name == r.blockTable(h) })
}

// isBlocked reports whether something does not pass.
func (r *Rack) isBlocked(h host) (bool, error) {
	tables, err := findTables(func(t *nftables.Table) bool { return t.Name == r.blockTable(h) })
	return len(tables) > 0, err
}

func (l layout) blockTable(h host) string { return l.firewallTable() + "-" + h.name }

// ownsTable reports whether a firewall table of any family is the rack's.
func (l layout) ownsTable(name string) bool {
	return name == l.firewallTable() || strings.HasPrefix(name, l.firewallTable()+"-")
}

// findTables lists the firewall tables, of any family, that which holds for.
func findTables(which func(*nftables.Table) bool) ([]*nftables.Table, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("cannot open nftables: %w", err)
	}
	tables, err := c.ListTables()
	if err != nil {
		return nil, fmt.Errorf("cannot list firewall tables: %w", err)
	}
	var found []*nftables.Table
	for _, t := range tables {
		if which(t) {
			found = append(found, t)
		}
	}
	return found, nil
}

func removeTables(which func(*nftables.Table) bool) error {
	found, err := findTables(which)
	if err != nil || len(found) == 0 {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("cannot open nftables: %w", err)
	}
	for _, t := range found {
		c.DelTable(t)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("cannot remove firewall tables: %w", err)
	}
	return nil
}
