package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// inetTable is the name of our table in the namespaces that are ours.
const inetTable = "spearhead"

// fenceTable is the name of our table in the agent's namespace, where others
// have theirs, such as an agent beside us.
func (d *Driver) fenceTable() string { return "spearhead-" + d.cfg.Prefix }

// raiseFence lets fabrics out through the agent's namespace, under the node's
// address, and nowhere else: not to the machine itself, not to the networks of
// machines, not to each other. Nothing comes in but answers.
func (d *Driver) raiseFence() error {
	if d.fenced {
		return nil
	}
	protected, err := d.protected()
	if err != nil {
		return err
	}
	ways := d.wayPrefix()
	err = transact(d.hostNS, func(c *nftables.Conn) error {
		t := renew(c, nftables.TableFamilyINet, d.fenceTable())
		input := baseChain(c, t, "input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
		addRule(c, input, comesFromAny(ways), refuse)
		forward := baseChain(c, t, "forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
		addRule(c, forward, leavesByAny(ways), comesFromAny(ways), refuse)
		addRule(c, forward, leavesByAny(ways), answers(), accept)
		addRule(c, forward, leavesByAny(ways), refuse)
		for _, p := range protected {
			addRule(c, forward, comesFromAny(ways), destination.within(p), refuse)
		}
		out := baseChain(c, t, "postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, nftables.ChainPolicyAccept)
		addRule(c, out, source.within(wayRange), leavesNotByAny(ways), masquerade())
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot fence fabrics in: %w", err)
	}
	err = namespace.Enter(d.hostNS, func() error { return namespace.SetSysctl("ipv4/ip_forward", "1") })
	if err != nil {
		return fmt.Errorf("cannot let fabrics out: %w", err)
	}
	d.fenced = true
	return nil
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
	d.fenced = false
	return nil
}

// linkLocal is where clouds tell machines their secrets (RFC 3927).
var linkLocal = netip.MustParsePrefix("169.254.0.0/16")

// protected are the networks that fabrics must not reach: those that the
// operator named or else the one that nodes and heads are on, and what is
// local to the machine.
func (d *Driver) protected() ([]netip.Prefix, error) {
	all := append([]netip.Prefix{linkLocal}, d.cfg.Protected...)
	if len(d.cfg.Protected) > 0 {
		return all, nil
	}
	_, onLink, err := d.underlay()
	return append(all, onLink), err
}

// guardFabric has a fabric's own namespace forward between its bridge and its
// way out only, and answer for the gateway with nothing but echoes.
func guardFabric(ns *os.File) error {
	err := transact(ns, func(c *nftables.Conn) error {
		t := renew(c, nftables.TableFamilyINet, inetTable)
		input := baseChain(c, t, "input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter, nftables.ChainPolicyDrop)
		addRule(c, input, comes(bridgeName), isProtocol(unix.IPPROTO_ICMP), transportByte(0, icmpEchoRequest), accept)
		for _, kind := range []byte{icmp6EchoRequest, icmp6Solicit, icmp6Advert} {
			addRule(c, input, comes(bridgeName), isProtocol(unix.IPPROTO_ICMPV6), transportByte(0, kind), accept)
		}
		addRule(c, input, answers(), accept)
		forward := baseChain(c, t, "forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, nftables.ChainPolicyDrop)
		addRule(c, forward, comes(wayName), answers(), accept)
		addRule(c, forward, comes(bridgeName), leaves(wayName), accept)
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
	icmpEchoRequest  = 8
	icmp6TooBig      = 2
	icmp6EchoRequest = 128
	icmp6Router      = 134 // advertisement
	icmp6Solicit     = 135
	icmp6Advert      = 136
	icmp6Redirect    = 137
)
