package network

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// inetTable is the name of our table in the namespaces that are ours.
const inetTable = "spearhead"

// fenceTable is the name of our table in the agent's namespace, where others
// have theirs, such as an agent beside us.
func (d *Driver) fenceTable() string { return "spearhead-" + d.cfg.Prefix }

// fence is what stands around fabrics.
type fence struct {
	protected map[netip.Prefix]bool // what they must not reach
	owners    map[netip.Addr]uint32 // whose they are, by addresses of their ways out
}

// isAround tells whether the fence knows a fabric.
func (f *fence) isAround(r *fabricRecord) bool {
	if r == nil {
		return true
	}
	a, owner := r.owner()
	known, ok := f.owners[a]
	return ok && known == owner
}

// raiseFence lets fabrics out through the agent's namespace, under the node's
// address, and nowhere else: not to the machine itself, not to the networks of
// machines, not to each other. Nothing comes in but answers. around is the
// fabric that is being opened; nil if those that are open are meant. The caller
// holds d.mu.
func (d *Driver) raiseFence(around *fabricRecord) error {
	protected, err := d.protected()
	if err != nil {
		return err
	}
	has := d.fenced
	if has != nil && maps.Equal(has.protected, protected) && has.isAround(around) {
		return nil
	}
	owners, err := d.owners()
	if err != nil {
		return err
	}
	want := &fence{protected, owners}
	switch {
	case has == nil || !maps.Equal(has.protected, protected):
		err = d.buildFence(want)
	case !maps.Equal(has.owners, owners):
		err = transact(d.hostNS, func(c *nftables.Conn) error {
			return changeOwners(c, ownersSet(&nftables.Table{Family: nftables.TableFamilyINet, Name: d.fenceTable()}), has.owners, owners)
		})
	}
	if err != nil {
		return fmt.Errorf("cannot fence fabrics in: %w", err)
	}
	d.fenced = want
	return nil
}

// ownersSet says whose a fabric is, in the fence's table.
func ownersSet(t *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: t, ID: 3, Name: "owners", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeMark}
}

// buildFence makes the whole of it anew.
func (d *Driver) buildFence(f *fence) error {
	share, err := d.share()
	if err != nil {
		return err
	}
	ways := d.wayPrefix()
	err = transact(d.hostNS, func(c *nftables.Conn) error {
		t := renew(c, nftables.TableFamilyINet, d.fenceTable())
		v4, v6 := setElements(f.protected, false)
		sets := [2]*nftables.Set{
			{Table: t, ID: 1, Name: "protected4", KeyType: nftables.TypeIPAddr, Interval: true},
			{Table: t, ID: 2, Name: "protected6", KeyType: nftables.TypeIP6Addr, Interval: true},
		}
		if err := eachFamilyAlways(c.AddSet, sets, v4, v6); err != nil {
			return err
		}
		owners, accounts := ownersSet(t), shareSet(t, 4, "accounts", nftables.TypeMark)
		if err := errors.Join(c.AddSet(owners, ownerElements(f.owners)), c.AddSet(accounts, nil)); err != nil {
			return err
		}
		input := baseChain(c, t, "input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
		addRule(c, input, comesFromAny(ways), refuse)
		forward := baseChain(c, t, "forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
		addRule(c, forward, leavesByAny(ways), comesFromAny(ways), refuse)
		addRule(c, forward, leavesByAny(ways), answers(), accept)
		addRule(c, forward, leavesByAny(ways), refuse)
		for i, set := range sets {
			addRule(c, forward, comesFromAny(ways), destination.in(set, i == 1), refuse)
		}
		holdToShare(c, forward, accounts, accountLists, share, comesFromAny(ways), ownerOf(owners))
		out := baseChain(c, t, "postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, nftables.ChainPolicyAccept)
		addRule(c, out, source.within(wayRange), leavesNotByAny(ways), masquerade())
		d.leaveTunnelsAlone(c, t)
		return nil
	})
	if err != nil {
		return err
	}
	err = namespace.Enter(d.hostNS, func() error { return namespace.SetSysctl("ipv4/ip_forward", "1") })
	if err != nil {
		return fmt.Errorf("cannot let fabrics out: %w", err)
	}
	return nil
}

// leaveTunnelsAlone has the kernel not track the packets of tunnels: each
// conversation within a fabric would take a place in the table of connections
// which all share, and time for each packet.
func (d *Driver) leaveTunnelsAlone(c *nftables.Conn, t *nftables.Table) {
	port := uint16(d.cfg.VXLANPort)
	for _, way := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"tunnels-in", nftables.ChainHookPrerouting}, {"tunnels-out", nftables.ChainHookOutput}} {
		chain := baseChain(c, t, way.name, nftables.ChainTypeFilter, way.hook, nftables.ChainPriorityRaw, nftables.ChainPolicyAccept)
		addRule(c, chain, isProtocol(unix.IPPROTO_UDP), destinationPorts(port, port), []expr.Any{&expr.Notrack{}})
	}
}

// lowerFence removes the rules, when no fabric is left.
func (d *Driver) lowerFence() error {
	err := transact(d.hostNS, func(c *nftables.Conn) error {
		removeTable(c, nftables.TableFamilyINet, d.fenceTable())
		return nil
	})
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("cannot remove the fence of fabrics: %w", err)
	}
	d.fenced = nil
	return nil
}

// linkLocal is where clouds tell machines their secrets (RFC 3927).
var linkLocal = netip.MustParsePrefix("169.254.0.0/16")

// protected are the networks that fabrics must not reach: those that the
// operator named or else the one that nodes and heads are on, the addresses of
// all machines that heads told of, and what is local to the machine.
func (d *Driver) protected() (map[netip.Prefix]bool, error) {
	all := map[netip.Prefix]bool{linkLocal: true}
	for _, p := range slices.Concat(d.cfg.Protected, d.told.Load().sets[model.MachinesSet]) {
		all[p.Masked()] = true
	}
	if len(d.cfg.Protected) == 0 {
		_, onLink, err := d.underlay()
		if err != nil {
			return nil, err
		}
		all[onLink] = true
	}
	return all, nil
}

// guardFabric has a fabric's own namespace forward between its bridge and its
// way out only, so many connections of each container, and answer for the
// gateway with nothing but echoes.
func guardFabric(ns *os.File, share uint32) error {
	err := transact(ns, func(c *nftables.Conn) error {
		t := renew(c, nftables.TableFamilyINet, inetTable)
		containers := shareSet(t, 1, "containers", nftables.TypeIPAddr)
		if err := c.AddSet(containers, nil); err != nil {
			return err
		}
		input := baseChain(c, t, "input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter, nftables.ChainPolicyDrop)
		addRule(c, input, comes(bridgeName), isProtocol(unix.IPPROTO_ICMP), transportByte(0, icmpEchoRequest), accept)
		for _, kind := range []byte{icmp6EchoRequest, icmp6Solicit, icmp6Advert} {
			addRule(c, input, comes(bridgeName), isProtocol(unix.IPPROTO_ICMPV6), transportByte(0, kind), accept)
		}
		addRule(c, input, answers(), accept)
		forward := baseChain(c, t, "forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, nftables.ChainPolicyDrop)
		addRule(c, forward, comes(wayName), answers(), accept)
		outwards := slices.Concat(comes(bridgeName), leaves(wayName))
		holdToShare(c, forward, containers, containerLists, share, outwards, fromAddress())
		addRule(c, forward, outwards, accept)
		out := baseChain(c, t, "postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, nftables.ChainPolicyAccept)
		addRule(c, out, leaves(wayName), masquerade())
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot guard fabric: %w", err)
	}
	return nil
}

// Types of ICMP (RFC 792) and ICMPv6 (RFC 4443, RFC 4861).
const (
	icmpUnreachable  = 3
	icmpEchoRequest  = 8
	icmpTimeExceeded = 11
	icmpParameter    = 12
	icmp6TooBig      = 2
	icmp6EchoRequest = 128
	icmp6Router      = 134 // advertisement
	icmp6Solicit     = 135
	icmp6Advert      = 136
	icmp6Redirect    = 137
)
