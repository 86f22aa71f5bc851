package dockerapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/spearheadcloud/spearhead/model"
)

// currentStatus is the status that clients see: what the node said, unless
// the container is not yet there or on its way out.
func currentStatus(c *model.Container) model.Status {
	switch {
	case c.Phase == model.PhaseRemoving:
		return model.StatusRemoving
	case c.Phase == model.PhaseReserved || c.State.Status == "":
		return model.StatusCreated
	}
	return c.State.Status
}

// labelsOf are a container's labels and, as Triton's users know it, the package
// that it has now.
func labelsOf(c *model.Container) map[string]string {
	labels := make(map[string]string, len(c.Spec.Labels)+1)
	maps.Copy(labels, c.Spec.Labels)
	if c.Package != "" {
		labels[model.LabelPackageTriton] = c.Package
	}
	return labels
}

// statusText is the status as docker ps prints it.
func statusText(c *model.Container, now time.Time) string {
	st := &c.State
	since := func(t time.Time) string { return units.HumanDuration(now.Sub(t)) }
	switch currentStatus(c) {
	case model.StatusRunning:
		return "Up " + since(st.StartedAt) + healthText(st.Health)
	case model.StatusPaused:
		return "Up " + since(st.StartedAt) + " (Paused)"
	case model.StatusRestarting:
		return fmt.Sprintf("Restarting (%d) %s ago", st.ExitCode, since(st.FinishedAt))
	case model.StatusRemoving:
		return "Removal In Progress"
	case model.StatusDead:
		return "Dead"
	case model.StatusExited:
		if st.FinishedAt.IsZero() {
			return ""
		}
		return fmt.Sprintf("Exited (%d) %s ago", st.ExitCode, since(st.FinishedAt))
	default:
		return "Created"
	}
}

// healthText is what docker ps adds to the status of a container that has a
// health check.
func healthText(h *model.Health) string {
	switch healthStatus(h) {
	case model.HealthNone:
		return ""
	case model.HealthStarting:
		return " (health: starting)"
	default:
		return " (" + string(h.Status) + ")"
	}
}

// healthStatus is "none" for a container without a health check.
func healthStatus(h *model.Health) model.HealthStatus {
	if h == nil || h.Status == "" {
		return model.HealthNone
	}
	return h.Status
}

// splitCommand splits a command line into its program and the rest.
func splitCommand(args []string) (path string, rest []string) {
	if len(args) == 0 {
		return "", []string{}
	}
	return args[0], args[1:]
}

// commandText is a command line as docker ps shows it: arguments with spaces
// are quoted.
func commandText(args []string) string {
	path, rest := splitCommand(args)
	words := []string{path}
	for _, arg := range rest {
		if strings.Contains(arg, " ") {
			arg = "'" + arg + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// address is the container's own address: that of its primary interface.
func address(c *model.Container) netip.Addr {
	for _, nic := range c.NICs {
		if nic.Primary {
			return nic.Address.Addr()
		}
	}
	if len(c.NICs) > 0 {
		return c.NICs[0].Address.Addr()
	}
	return netip.Addr{}
}

// listedPorts are the ports as docker ps shows them, while the container runs.
// A published port is reached on the container's own address and, where the
// data center does so, at that of its heads, which comes first: there are
// clients that read no more than one.
func listedPorts(c *model.Container, endpoints []netip.Addr) []container.PortSummary {
	ports := []container.PortSummary{}
	if !c.State.Status.Running() {
		return ports
	}
	for _, p := range c.Spec.Ports {
		port := container.PortSummary{PrivatePort: p.Number, Type: p.Protocol}
		if !p.Published {
			ports = append(ports, port)
		}
		for _, number := range p.AtHeads() {
			for _, endpoint := range endpoints {
				port.IP, port.PublicPort = endpoint, number
				ports = append(ports, port)
			}
		}
		for _, outside := range p.Reached() {
			port.IP, port.PublicPort = address(c), outside
			ports = append(ports, port)
		}
	}
	return ports
}

func portOf(p model.Port) network.Port {
	port, _ := network.PortFrom(p.Number, network.IPProtocol(p.Protocol))
	return port
}

// portMap is the ports as inspect shows them, while the container runs; see
// listedPorts.
func portMap(c *model.Container, endpoints []netip.Addr) network.PortMap {
	ports := network.PortMap{}
	if !c.State.Status.Running() {
		return ports
	}
	for _, p := range c.Spec.Ports {
		var bindings []network.PortBinding
		for _, number := range p.AtHeads() {
			for _, endpoint := range endpoints {
				bindings = append(bindings, network.PortBinding{HostIP: endpoint, HostPort: strconv.Itoa(int(number))})
			}
		}
		for _, outside := range p.Reached() {
			bindings = append(bindings, network.PortBinding{HostIP: address(c), HostPort: strconv.Itoa(int(outside))})
		}
		ports[portOf(p)] = bindings
	}
	return ports
}

// networkNames finds names of networks, each once, and knows the addresses at
// which this head publishes ports.
type networkNames struct {
	system    System
	endpoints []netip.Addr
	known     map[string]string
}

func (s *server) networkNames() *networkNames {
	return &networkNames{s.System, s.Endpoints, map[string]string{}}
}

// name returns the name of a network, and its id if it has none any more.
func (n *networkNames) name(ctx context.Context, id string) string {
	name, ok := n.known[id]
	if !ok {
		name = id
		if found, err := n.system.Network(ctx, id); err == nil {
			name = found.Name
		}
		n.known[id] = name
	}
	return name
}

// of returns the names of a container's networks in one text.
func (n *networkNames) of(ctx context.Context, c *model.Container) string {
	names := ""
	for i, nic := range c.NICs {
		if i > 0 {
			names += " "
		}
		names += n.name(ctx, askedNetwork(&nic))
	}
	return names
}

// askedNetwork is the id of the network that a NIC was asked for on: of the
// pool, if one was.
func askedNetwork(nic *model.NIC) string { return cmp.Or(nic.PoolID, nic.NetworkID) }

// networkMode is the mode as users know it: "default" where they named none.
func networkMode(c *model.Container) string {
	if c.Spec.Network == "" {
		return network.NetworkDefault
	}
	return c.Spec.Network
}

// endpointID names a container on a network.
func endpointID(containerID, networkID string) string {
	sum := sha256.Sum256([]byte("endpoint " + containerID + " " + networkID))
	return hex.EncodeToString(sum[:])
}

// endpoints are the container's networks by name.
func endpoints(ctx context.Context, c *model.Container, names *networkNames) map[string]*network.EndpointSettings {
	all := map[string]*network.EndpointSettings{}
	for _, nic := range c.NICs {
		mac := network.HardwareAddr(nil)
		if err := mac.UnmarshalText([]byte(nic.MAC)); err != nil {
			mac = nil
		}
		e := &network.EndpointSettings{
			NetworkID: askedNetwork(&nic), EndpointID: endpointID(c.ID, nic.NetworkID), MacAddress: mac, Aliases: nic.Aliases, Links: nic.Links,
			DNSNames: append([]string{c.Name, model.ShortID(c.ID)}, nic.Aliases...),
		}
		if nic.Address.IsValid() {
			e.IPAddress, e.IPPrefixLen, e.Gateway = nic.Address.Addr(), nic.Address.Bits(), nic.Gateway
		}
		if nic.Address6.IsValid() {
			e.GlobalIPv6Address, e.GlobalIPv6PrefixLen, e.IPv6Gateway = nic.Address6.Addr(), nic.Address6.Bits(), nic.Gateway6
		}
		all[names.name(ctx, askedNetwork(&nic))] = e
	}
	for _, gone := range c.GoneNetworks {
		if all[gone.Name] == nil {
			all[gone.Name] = &network.EndpointSettings{NetworkID: gone.ID}
		}
	}
	if len(c.NICs) == 0 && (c.Spec.Network == network.NetworkNone || c.Spec.Network == network.NetworkHost) {
		all[c.Spec.Network] = &network.EndpointSettings{}
	}
	return all
}

// mountPoints are the container's mounts as inspect and list show them.
func mountPoints(c *model.Container) []container.MountPoint {
	points := []container.MountPoint{}
	for _, m := range c.Spec.Mounts {
		p := container.MountPoint{Type: mount.Type(m.Type), Source: m.Source, Destination: m.Target, RW: !m.ReadOnly}
		switch m.Type {
		case model.MountBind:
			p.Propagation = mount.Propagation(m.Propagation)
			if p.Propagation == "" {
				p.Propagation = mount.PropagationRPrivate
			}
			if m.ReadOnly && m.CreateSource {
				p.Mode = "ro"
			}
		case model.MountVolume:
			p.Name, p.Source, p.Driver = m.Source, mountpoint(m.Source), model.VolumeDriver
			if m.Subpath != "" {
				p.Source += "/" + m.Subpath
			}
			switch {
			case m.ReadOnly:
				p.Mode = "ro"
			case !m.Anonymous:
				p.Mode = "z"
			}
		}
		points = append(points, p)
	}
	return points
}

// ownVolumes are the places of volumes that were made for the container: for
// those that its image or its request has without a name.
func ownVolumes(spec *model.ContainerSpec) map[string]struct{} {
	var own map[string]struct{}
	for _, m := range spec.Mounts {
		if m.Type != model.MountVolume || !m.Anonymous {
			continue
		}
		if own == nil {
			own = map[string]struct{}{}
		}
		own[m.Target] = struct{}{}
	}
	return own
}

// timeText is a time as Docker writes it, zero ones included.
func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
