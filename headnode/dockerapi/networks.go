package dockerapi

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// Drivers of networks as clients know them.
const (
	driverBridge = "bridge"
	driverNull   = "null"
	driverHost   = "host"
)

// knownNetwork is a network that an account can name. of is nil for those that
// have no addresses.
type knownNetwork struct {
	network.Network
	of *model.Network
}

// accountNetworks lists the networks that the account's containers may be on,
// and those that an engine always has: none, host for those who may use it, and
// bridge, which stands for the account's default network.
func (s *server) accountNetworks(c *call) ([]knownNetwork, error) {
	found, err := s.Networks.Networks(c.ctx(), c.account)
	if err != nil {
		return nil, err
	}
	var all []knownNetwork
	taken := func(name string) bool {
		return slices.ContainsFunc(all, func(k knownNetwork) bool { return k.Name == name })
	}
	for i := range found {
		all = append(all, knownNetwork{describeNetwork(found[i].ID, found[i].Name, model.NetworkDriver(&found[i]), &found[i]), &found[i]})
	}
	at := slices.IndexFunc(found, func(n model.Network) bool { return n.Default })
	if at >= 0 && !taken(network.NetworkBridge) {
		all = append(all, knownNetwork{describeNetwork(fixedID(network.NetworkBridge), network.NetworkBridge, driverBridge, &found[at]), &found[at]})
	}
	if all, err = s.addPools(c, all, taken); err != nil {
		return nil, err
	}
	all = append(all, knownNetwork{describeNetwork(fixedID(network.NetworkNone), network.NetworkNone, driverNull, nil), nil})
	if c.account.Policy == model.PolicyTrusted {
		all = append(all, knownNetwork{describeNetwork(fixedID(network.NetworkHost), network.NetworkHost, driverHost, nil), nil})
	}
	return all, nil
}

// addPools adds pools of networks, which look like networks with several
// subnets. One of them may be what bridge stands for.
func (s *server) addPools(c *call, all []knownNetwork, taken func(string) bool) ([]knownNetwork, error) {
	pools, err := s.Networks.NetworkPools(c.ctx(), c.account)
	if err != nil {
		return nil, err
	}
	for _, p := range pools {
		of := p.Networks[0]
		of.ID, of.Name = p.ID, p.Name
		names := []string{p.Name}
		if p.Default && !taken(network.NetworkBridge) {
			names = append(names, network.NetworkBridge)
		}
		for _, name := range names {
			id := p.ID
			if name != p.Name {
				id = fixedID(name)
			}
			known := knownNetwork{describeNetwork(id, name, driverBridge, &of), &of}
			for i := range p.Networks[1:] {
				known.IPAM.Config = append(known.IPAM.Config, ipamConfigs(&p.Networks[i+1])...)
			}
			all = append(all, known)
		}
	}
	return all, nil
}

// fixedID is the id of a network that is there without having been made.
func fixedID(name string) string {
	sum := sha256.Sum256([]byte("network " + name))
	return hex.EncodeToString(sum[:])
}

func describeNetwork(id, name, driver string, of *model.Network) network.Network {
	n := network.Network{
		ID: id, Name: name, Driver: driver, Scope: "local", Options: map[string]string{}, Labels: map[string]string{},
		IPAM: network.IPAM{Driver: "default", Options: map[string]string{}, Config: []network.IPAMConfig{}},
	}
	if of == nil {
		return n
	}
	n.Created, n.Internal, n.Attachable = of.Created, of.Internal, of.Attachable
	maps.Copy(n.Options, of.Options)
	maps.Copy(n.Labels, of.Labels)
	n.IPAM.Config = append(n.IPAM.Config, ipamConfigs(of)...)
	n.EnableIPv4, n.EnableIPv6 = true, of.Subnet6.IsValid()
	if of.MTU > 0 {
		n.Options[optionMTU] = strconv.Itoa(of.MTU)
	}
	return n
}

// ipamConfigs are a network's subnets.
func ipamConfigs(of *model.Network) []network.IPAMConfig {
	all := []network.IPAMConfig{ipamConfig(of, of.Subnet, of.Gateway)}
	if of.Subnet6.IsValid() {
		all = append(all, ipamConfig(of, of.Subnet6, of.Gateway6))
	}
	return all
}

// ipamConfig is one subnet of a network with what is kept of it.
func ipamConfig(of *model.Network, subnet netip.Prefix, gateway netip.Addr) network.IPAMConfig {
	c := network.IPAMConfig{Subnet: subnet, Gateway: gateway}
	for name, a := range of.Reserved {
		if subnet.Contains(a) {
			if c.AuxAddress == nil {
				c.AuxAddress = map[string]netip.Addr{}
			}
			c.AuxAddress[name] = a
		}
	}
	return c
}

func (s *server) listNetworks(c *call) error {
	f, err := c.query.filters("dangling", "driver", "id", "label", "name", "scope", "type")
	if err != nil {
		return err
	}
	all, err := s.accountNetworks(c)
	if err != nil {
		return err
	}
	containers, _, err := s.Containers.List(c.ctx(), c.account)
	if err != nil {
		return err
	}
	match, err := f.networkRule(containers)
	if err != nil {
		return err
	}
	summaries := []any{}
	for i := range all {
		switch {
		case !match(&all[i]):
		case c.version.Has(compat.NetworksWithContainers):
			summaries = append(summaries, inspectionOf(&all[i], containers))
		default:
			summaries = append(summaries, network.Summary{Network: all[i].Network})
		}
	}
	return c.answer(http.StatusOK, summaries)
}

// networkRule turns the filters of a list into one test.
func (f filters) networkRule(containers []*model.Container) (func(*knownNetwork) bool, error) {
	for _, kind := range f["type"] {
		if kind != "custom" && kind != "builtin" {
			return nil, invalid("invalid filter: 'type'='%.40s': use custom or builtin", kind)
		}
	}
	dangling, given, err := f.flag("dangling")
	if err != nil {
		return nil, err
	}
	has := func(name string, match func(string) bool) bool {
		return len(f[name]) == 0 || slices.ContainsFunc(f[name], match)
	}
	return func(k *knownNetwork) bool {
		kind := "custom"
		if k.of == nil || k.Name == network.NetworkBridge {
			kind = "builtin"
		}
		used := slices.ContainsFunc(containers, func(of *model.Container) bool { return of.State.Status.Running() && isEndpoint(of, k) })
		return has("driver", func(want string) bool { return want == k.Driver }) &&
			has("id", func(want string) bool { return strings.HasPrefix(k.ID, want) }) &&
			has("name", func(want string) bool { return strings.Contains(k.Name, want) }) &&
			has("scope", func(want string) bool { return want == k.Scope }) &&
			has("type", func(want string) bool { return want == kind }) &&
			f.labels("label", k.Labels) && (!given || dangling != used)
	}, nil
}

// isEndpoint reports whether a container is on a network.
func isEndpoint(c *model.Container, k *knownNetwork) bool {
	if k.of == nil {
		return c.Spec.Network == k.Name
	}
	return slices.ContainsFunc(c.NICs, func(n model.NIC) bool { return n.NetworkID == k.of.ID || n.PoolID == k.of.ID })
}

func (s *server) inspectNetwork(c *call) error {
	found, err := s.findNetwork(c)
	if err != nil {
		return err
	}
	if scope := c.query.Get("scope"); scope != "" && scope != found.Scope {
		return errNoNetwork(c.vars["id"])
	}
	containers, _, err := s.Containers.List(c.ctx(), c.account)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, inspectionOf(found, containers))
}

// inspectionOf describes a network with those of the containers that are on it.
func inspectionOf(k *knownNetwork, containers []*model.Container) network.Inspect {
	inspected := network.Inspect{Network: k.Network, Containers: map[string]network.EndpointResource{}}
	for _, of := range containers {
		if isEndpoint(of, k) && of.State.Status.Running() {
			inspected.Containers[of.ID] = endpointResource(of, k)
		}
	}
	return inspected
}

func endpointResource(c *model.Container, k *knownNetwork) network.EndpointResource {
	r := network.EndpointResource{Name: c.Name, EndpointID: endpointID(c.ID, k.ID)}
	for _, nic := range c.NICs {
		if k.of == nil || nic.NetworkID != k.of.ID && nic.PoolID != k.of.ID {
			continue
		}
		if err := r.MacAddress.UnmarshalText([]byte(nic.MAC)); err != nil {
			r.MacAddress = nil
		}
		r.EndpointID = endpointID(c.ID, nic.NetworkID)
		r.IPv4Address, r.IPv6Address = nic.Address, nic.Address6
	}
	return r
}

// findNetwork finds a network by name, id or unique prefix of an id.
func (s *server) findNetwork(c *call) (*knownNetwork, error) {
	ref := c.vars["id"]
	all, err := s.accountNetworks(c)
	if err != nil {
		return nil, err
	}
	for _, same := range []func(*knownNetwork) bool{
		func(k *knownNetwork) bool { return k.ID == ref },
		func(k *knownNetwork) bool { return k.Name == ref },
		func(k *knownNetwork) bool { return strings.HasPrefix(k.ID, ref) },
	} {
		var found []*knownNetwork
		for i := range all {
			if same(&all[i]) {
				found = append(found, &all[i])
			}
		}
		switch {
		case len(found) > 1:
			return nil, invalid("network %.128s is ambiguous (%d matches found on name)", ref, len(found))
		case len(found) == 1:
			return found[0], nil
		}
	}
	return nil, errNoNetwork(ref)
}

func errNoNetwork(ref string) error {
	return model.Errorf(model.KindNotFound, "network %.128s not found", ref)
}

func (s *server) createNetwork(c *call) error {
	var asked network.CreateRequest
	body, err := c.decode(&asked)
	if err != nil {
		return err
	}
	if err := checkNetworkFields(body); err != nil {
		return err
	}
	n, err := newNetwork(&asked)
	if err != nil {
		return err
	}
	if n, err = s.Networks.CreateNetwork(c.ctx(), c.account, n); err != nil {
		return err
	}
	return c.answer(http.StatusCreated, network.CreateResponse{ID: n.ID})
}

// removeNetwork refuses what belongs to the data center.
func (s *server) removeNetwork(c *call) error {
	found, err := s.findNetwork(c)
	if err != nil {
		return err
	}
	if found.of == nil || found.of.AccountID != c.account.ID || found.ID != found.of.ID {
		return model.Errorf(model.KindForbidden, "%s is a pre-defined network and cannot be removed", found.Name)
	}
	if err := s.Networks.RemoveNetwork(c.ctx(), c.account, found.of.ID); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (s *server) connectNetwork(c *call) error {
	var asked network.ConnectRequest
	if _, err := c.decode(&asked); err != nil {
		return err
	}
	found, err := s.findJoinable(c)
	if err != nil {
		return err
	}
	e, unsupported, err := newEndpoint(found.of.ID, asked.EndpointConfig)
	if err != nil {
		return err
	}
	if len(unsupported) > 0 {
		return model.Errorf(model.KindNotImplemented, "this version does not support EndpointConfig.%s; leave it out", strings.Join(unsupported, ", EndpointConfig."))
	}
	if err := s.Connections.Connect(c.ctx(), c.account, asked.Container, e); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

func (s *server) disconnectNetwork(c *call) error {
	var asked network.DisconnectRequest
	if _, err := c.decode(&asked); err != nil {
		return err
	}
	ref := c.vars["id"]
	found, err := s.findJoinable(c)
	switch {
	case err == nil:
		ref = found.of.ID
	case !asked.Force || !model.IsKind(err, model.KindNotFound): // else it may be gone, and the container still on it
		return err
	}
	if err := s.Connections.Disconnect(c.ctx(), c.account, asked.Container, ref, asked.Force); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

// findJoinable finds a network that containers join and leave, in Docker's
// words where it is none.
func (s *server) findJoinable(c *call) (*knownNetwork, error) {
	found, err := s.findNetwork(c)
	if err != nil {
		return nil, err
	}
	if found.of == nil {
		return nil, model.Errorf(model.KindForbidden, "container cannot be connected to %s network or disconnected from it", found.Name)
	}
	return found, nil
}
