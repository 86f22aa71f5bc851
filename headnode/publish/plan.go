package publish

import (
	"net/netip"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// spot is a number of this head in one protocol, tcp or udp.
type spot struct {
	protocol string
	number   uint16
}

// target is where what comes to a spot is carried.
type target struct {
	container string
	at        netip.AddrPort
}

// plan is what a head has to carry where, by the state and those containers of
// it that have numbers. machines are addresses that nothing is carried to.
func plan(v *state.View, all []*model.Container, machines []netip.Prefix) map[spot]target {
	wanted, forbidden := map[spot]target{}, map[netip.Addr]bool{}
	for _, p := range machines {
		forbidden[p.Addr()] = true
	}
	for _, c := range all {
		if !c.State.Status.Running() {
			continue
		}
		address, ok := reached(v, c)
		if !ok || forbidden[address] {
			continue
		}
		for _, p := range c.Spec.Ports {
			outside := p.Reached()
			if len(outside) == 0 {
				continue
			}
			for _, number := range p.AtHeads() {
				if holder, held := v.EndpointHolder(p.Protocol, number); held && holder.ID == c.ID {
					wanted[spot{p.Protocol, number}] = target{c.ID, netip.AddrPortFrom(address, outside[0])}
				}
			}
		}
	}
	return wanted
}

// reached is the address by which everybody reaches a container's ports: that
// of its default route, if that is on an external network.
func reached(v *state.View, c *model.Container) (found netip.Addr, ok bool) {
	for _, nic := range c.NICs {
		n, there := v.Network(nic.NetworkID)
		if !there || n.Kind != model.NetworkExternal || !nic.Address.IsValid() {
			continue
		}
		if nic.Primary || !ok {
			found, ok = nic.Address.Addr(), true
		}
	}
	return found, ok
}
