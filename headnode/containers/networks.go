package containers

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spearheadcloud/spearhead/headnode/networks"
	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// usualNetwork reports whether a network mode is one of Docker's words for the
// network of containers that name none.
func usualNetwork(mode string) bool { return mode == "" || mode == "default" || mode == "bridge" }

// ownNetwork reports whether a container of that network mode has NICs of its
// own.
func ownNetwork(mode string) bool {
	return mode != "none" && mode != "host" && !strings.HasPrefix(mode, "container:")
}

// findNetworks resolves the network mode and what the request says of networks
// into NICs: that of the mode first. What publishes ports needs an external
// network, and gets one if it has named none.
func (p *plan) findNetworks(v *state.View) error {
	spec := &p.request.Spec
	if !ownNetwork(spec.Network) {
		if len(p.request.Endpoints) > 0 {
			return model.Errorf(model.KindInvalid, "conflicting options: a container with the network mode %.64s has no other networks", spec.Network)
		}
		return nil
	}
	first, err := networkOf(v, p.account.ID, spec.Network)
	if err != nil {
		return err
	}
	spec.Network = first.Name
	asked, err := p.endpoints(v, &first)
	if err != nil {
		return err
	}
	route := slices.MaxFunc(asked, func(a, b model.Endpoint) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, e := range asked {
		if err := p.addNIC(v, e, e.Network == route.Network); err != nil {
			return err
		}
	}
	if err := p.publish(v); err != nil {
		return err
	}
	return p.checkPorts()
}

// networkOf finds the network that a request names. That there is none is a
// fault of the request: see findOther.
func networkOf(v *state.View, accountID, ref string) (model.Network, error) {
	if usualNetwork(ref) {
		n, ok := networks.Default(v, accountID)
		if !ok {
			return n, model.Errorf(model.KindUnavailable, "the data center has no default network; name one, or use --network none")
		}
		return n, nil
	}
	n, err := networks.Find(v, accountID, ref)
	if model.IsKind(err, model.KindNotFound) {
		err = model.Errorf(model.KindInvalid, "%s", model.UserText(err))
	}
	return n, err
}

// endpoints are those of the request with the networks' ids, the first
// network's first, and one for it if there is none.
func (p *plan) endpoints(v *state.View, first *model.Network) ([]model.Endpoint, error) {
	all, named := []model.Endpoint{{Network: first.ID}}, map[string]bool{}
	for _, e := range p.request.Endpoints {
		n, err := networkOf(v, p.account.ID, e.Network)
		if err != nil {
			return nil, err
		}
		if named[n.ID] {
			return nil, model.Errorf(model.KindInvalid, "network %.64s is named twice", n.Name)
		}
		named[n.ID], e.Network = true, n.ID
		if n.ID == first.ID {
			all[0] = e
			continue
		}
		all = append(all, e)
	}
	return all, nil
}

// addNIC plans a NIC on the network of e.
func (p *plan) addNIC(v *state.View, e model.Endpoint, primary bool) error {
	n, ok := v.Network(e.Network)
	if !ok {
		return model.Errorf(model.KindInvalid, "network %s not found", e.Network)
	}
	if err := policy.Refuse(policy.CheckEndpoint(p.account, &n, &e)); err != nil {
		return err
	}
	nic := nicFor(&n, &e, &p.request.Spec)
	nic.Interface, nic.Primary, nic.Rate = "eth"+strconv.Itoa(len(p.nics)), primary, p.pkg.NetworkRate
	p.networks, p.nics = append(p.networks, n), append(p.nics, nic)
	return nil
}

// nicFor is a NIC on n as it was asked for; networks.Assign gives it the rest.
func nicFor(n *model.Network, e *model.Endpoint, spec *model.ContainerSpec) model.NIC {
	nic := model.NIC{NetworkID: n.ID, MAC: e.MAC, Aliases: e.Aliases, Firewall: true, Ports: portMaps(spec.Ports)}
	if e.Address.IsValid() {
		nic.Address = netip.PrefixFrom(e.Address, n.Subnet.Bits())
	}
	if e.Address6.IsValid() {
		nic.Address6 = netip.PrefixFrom(e.Address6, max(n.Subnet6.Bits(), 0))
	}
	return nic
}

// portMaps are the open ports of a NIC.
func portMaps(ports []model.Port) []model.PortMap {
	var maps []model.PortMap
	for _, p := range ports {
		for _, outside := range p.Reached() {
			maps = append(maps, model.PortMap{Protocol: p.Protocol, Port: outside, Target: p.Number})
		}
	}
	return maps
}

// publish puts a container that publishes ports on an external network, which
// then has its default route: answers must leave by the address that was
// asked.
func (p *plan) publish(v *state.View) error {
	published := slices.ContainsFunc(p.request.Spec.Ports, func(port model.Port) bool { return port.Published })
	external := slices.ContainsFunc(p.networks, func(n model.Network) bool { return n.Kind == model.NetworkExternal })
	if !published || external {
		return nil
	}
	n, ok := networks.External(v, p.account.ID)
	if !ok {
		return model.Errorf(model.KindInvalid, "ports cannot be published: the account may use no external network; leave -p out, or ask the operator for one")
	}
	if err := p.addNIC(v, model.Endpoint{Network: n.ID}, true); err != nil {
		return err
	}
	for i := range len(p.nics) - 1 {
		p.nics[i].Primary = false
	}
	return nil
}

// checkPorts refuses two ports behind one number.
func (p *plan) checkPorts() error {
	taken := map[model.PortMap]uint16{}
	for _, m := range portMaps(p.request.Spec.Ports) {
		key := model.PortMap{Protocol: m.Protocol, Port: m.Port}
		if target, ok := taken[key]; ok && target != m.Target {
			return model.Errorf(model.KindInvalid, "port %d/%s is published for two ports of the container: %d and %d", m.Port, m.Protocol, target, m.Target)
		}
		taken[key] = m.Target
	}
	return nil
}
