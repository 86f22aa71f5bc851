package rack

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// way is a direction in which frames pass between a host and the others.
type way int

const (
	fromHost way = 1 << iota
	toHost
)

// block lets nothing pass between a host and the others in some ways. This
// machine itself still reaches the host, and is reached by it.
func (r *Rack) block(h host, ways way) error {
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
		way way
		key expr.MetaKey
	}{{fromHost, expr.MetaKeyIIFNAME}, {toHost, expr.MetaKeyOIFNAME}} {
		if ways&rule.way != 0 {
			e := matchLink(rule.key, expr.CmpOpEq, r.underlayLink(h))
			c.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: append(e, &expr.Verdict{Kind: expr.VerdictDrop})})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("cannot isolate %s: %w", h.name, err)
	}
	return nil
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
