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
	first, err := placeOf(v, p.account.ID, spec.Network)
	if err != nil {
		return err
	}
	spec.Network = first.Name
	asked, err := p.endpoints(v, first)
	if err != nil {
		return err
	}
	route := slices.MaxFunc(asked, func(a, b placed) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, at := range asked {
		if err := p.addNIC(at, at.place.ID == route.place.ID); err != nil {
			return err
		}
	}
	if err := p.publish(v); err != nil {
		return err
	}
	if err := p.findEndpointPorts(v); err != nil {
		return err
	}
	return p.checkPorts()
}

// placed is an endpoint of a request and the place that it names.
type placed struct {
	model.Endpoint
	place networks.Place
}

// placeOf finds the network or pool that a request names. That there is none is
// a fault of the request: see findOther.
func placeOf(v *state.View, accountID, ref string) (networks.Place, error) {
	if usualNetwork(ref) {
		place, ok := networks.Default(v, accountID)
		if !ok {
			return place, model.Errorf(model.KindUnavailable, "the data center has no default network; name one, or use --network none")
		}
		return place, nil
	}
	place, err := networks.FindPlace(v, accountID, ref)
	if model.IsKind(err, model.KindNotFound) {
		err = model.Errorf(model.KindInvalid, "%s", model.UserText(err))
	}
	return place, err
}

// endpoints are those of the request with the places that they name, the first
// network's first, and one for it if there is none.
func (p *plan) endpoints(v *state.View, first networks.Place) ([]placed, error) {
	all, named := []placed{{place: first}}, map[string]bool{}
	for _, e := range p.request.Endpoints {
		place, err := placeOf(v, p.account.ID, e.Network)
		if err != nil {
			return nil, err
		}
		if named[place.ID] {
			return nil, model.Errorf(model.KindInvalid, "network %.64s is named twice", place.Name)
		}
		named[place.ID] = true
		if place.ID == first.ID {
			all[0] = placed{e, place}
			continue
		}
		all = append(all, placed{e, place})
	}
	return all, nil
}

// addNIC plans a NIC.
func (p *plan) addNIC(at placed, primary bool) error {
	n := at.place.For(at.Address)
	if err := policy.Refuse(policy.CheckEndpoint(p.account, &n, &at.Endpoint)); err != nil {
		return err
	}
	nic := nicFor(&n, &at.Endpoint, &p.request.Spec)
	if at.place.Pool {
		nic.PoolID = at.place.ID
	}
	nic.Interface, nic.Primary, nic.Rate = "eth"+strconv.Itoa(len(p.nics)), primary, p.pkg.NetworkRate
	p.networks, p.nics = append(p.networks, n), append(p.nics, nic)
	return nil
}

// nicFor is a NIC on n as it was asked for; networks.Assign gives it the rest.
func nicFor(n *model.Network, e *model.Endpoint, spec *model.ContainerSpec) model.NIC {
	nic := model.NIC{NetworkID: n.ID, MAC: e.MAC, Aliases: e.Aliases, Links: e.Links, Firewall: true, Ports: portMaps(spec.Ports)}
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
// asked. A label says on which.
func (p *plan) publish(v *state.View) error {
	published := slices.ContainsFunc(p.request.Spec.Ports, func(port model.Port) bool { return port.Published })
	external := slices.ContainsFunc(p.networks, func(n model.Network) bool { return n.Kind == model.NetworkExternal })
	label := p.request.Spec.Labels[networks.LabelPublic]
	var place networks.Place
	switch {
	case label != "" && !published:
		return model.Errorf(model.KindInvalid, "the label %s requires a published port; add -p or -P, or name the network with --network", networks.LabelPublic)
	case label != "":
		var err error
		if place, err = networks.Public(v, p.account.ID, label); err != nil {
			return err
		}
		if i := slices.IndexFunc(p.nics, func(nic model.NIC) bool { return place.Has(&nic) }); i >= 0 {
			for j := range p.nics {
				p.nics[j].Primary = j == i
			}
			return nil
		}
	case !published || external:
		return nil
	default:
		var ok bool
		if place, ok = networks.External(v, p.account.ID); !ok {
			return model.Errorf(model.KindInvalid, "ports cannot be published: the account may use no external network; leave -p out, or ask the operator for one")
		}
	}
	if err := p.addNIC(placed{place: place}, true); err != nil {
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
