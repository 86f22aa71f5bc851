package dockerapi

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/network"

	"github.com/spearheadcloud/spearhead/model"
)

var hostnameRule = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

// identity decides the container's name for itself and its labels.
func (d *creation) identity() error {
	c, spec := d.asked.Config, &d.out.Spec
	for field, name := range map[string]string{"Hostname": c.Hostname, "Domainname": c.Domainname} {
		if name != "" && (len(name) > 64 || !hostnameRule.MatchString(name)) {
			return invalid("invalid value for %s: %.70q is not a host name of at most 64 characters", field, name)
		}
	}
	spec.Hostname, spec.Domainname = c.Hostname, c.Domainname
	for _, key := range sortedKeys(c.Labels) {
		switch {
		case key == "":
			return invalid("invalid value for Labels: a label has no name")
		case strings.HasPrefix(key, "com.docker.swarm.affinities"), strings.HasPrefix(key, "com.docker.swarm.constraints"),
			key == "spearhead.brand", key == "spearhead.reschedule":
			d.refuse(true, "Labels["+strconv.Quote(key)+"]")
		}
	}
	if len(c.Labels) > 0 {
		spec.Labels = c.Labels
	}
	return nil
}

func (d *creation) environment() error {
	env := d.asked.Env
	if err := checkEnv(env); err != nil {
		return err
	}
	for _, variable := range env {
		if strings.HasPrefix(variable, "affinity:") || strings.HasPrefix(variable, "constraint:") {
			name, _, _ := strings.Cut(variable, "=")
			d.refuse(true, "Env["+strconv.Quote(clipKey(name))+"]")
		}
	}
	if len(env) > 0 {
		d.out.Spec.Env = env
	}
	return nil
}

func checkEnv(env []string) error {
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		if name == "" || strings.ContainsRune(variable, 0) {
			return invalid("invalid environment variable: %.64s", variable)
		}
	}
	return nil
}

// ports merges what is exposed with what is published. A container has its own
// address, so a port is published under its own number on that address.
func (d *creation) ports() error {
	ports := map[network.Port]bool{} // whether it is published
	for port := range d.asked.ExposedPorts {
		ports[port] = false
	}
	for port, bindings := range d.asked.HostConfig.PortBindings {
		ports[port] = true
		for _, b := range bindings {
			same := b.HostPort == "" || b.HostPort == "0" || b.HostPort == strconv.Itoa(int(port.Num()))
			d.refuse(!same, "HostConfig.PortBindings["+strconv.Quote(port.String())+"].HostPort")
			anywhere := !b.HostIP.IsValid() || b.HostIP.IsUnspecified()
			d.refuse(!anywhere, "HostConfig.PortBindings["+strconv.Quote(port.String())+"].HostIp")
		}
	}
	for port, published := range ports {
		protocol := string(port.Proto())
		if port.Num() == 0 || protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
			return invalid("invalid port: %.32q is not a number from 1 to 65535 with tcp, udp or sctp", port.String())
		}
		d.out.Spec.Ports = append(d.out.Spec.Ports, model.Port{Number: port.Num(), Protocol: protocol, Published: published || d.asked.HostConfig.PublishAllPorts})
	}
	slices.SortFunc(d.out.Spec.Ports, func(a, b model.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	d.out.PublishAll = d.asked.HostConfig.PublishAllPorts
	return nil
}

func (d *creation) logging() error {
	l := d.asked.HostConfig.LogConfig
	d.out.Spec.Log.Driver = l.Type
	switch l.Type {
	case "":
		d.out.Spec.Log.Driver = "json-file"
	case "json-file", "none":
	default:
		d.refuse(true, "HostConfig.LogConfig.Type")
	}
	for _, key := range sortedKeys(l.Config) {
		value := l.Config[key]
		field := "HostConfig.LogConfig.Config[" + strconv.Quote(clipKey(key)) + "]"
		switch {
		case l.Type == "none":
			return invalid("invalid value for %s: the log driver none has no options", field)
		case key == "max-size":
			if size, err := units.RAMInBytes(value); err != nil || size < -1 || size == 0 {
				return invalid("invalid value for %s: %.32q is not a size", field, value)
			}
		case key == "max-file":
			if n, err := strconv.Atoi(value); err != nil || n < 1 {
				return invalid("invalid value for %s: %.32q is not a number of files", field, value)
			}
		default:
			d.refuse(true, field)
		}
	}
	if len(l.Config) > 0 {
		d.out.Spec.Log.Options = l.Config
	}
	return nil
}

// network decides on which network the container is. The networks of a node's
// engine, bridge and default, stand for the account's default network.
func (d *creation) network() error {
	mode := ownNetwork(string(d.asked.HostConfig.NetworkMode))
	if target, ok := strings.CutPrefix(mode, "container:"); ok && target == "" {
		return invalid("invalid value for HostConfig.NetworkMode: no container is named")
	}
	ends := d.asked.NetworkingConfig.EndpointsConfig
	d.refuse(len(ends) > 1, "NetworkingConfig.EndpointsConfig")
	for _, name := range sortedKeys(ends) {
		own := ownNetwork(name)
		if mode == "" && len(ends) == 1 {
			mode = own
		}
		d.refuse(own != mode, "NetworkingConfig.EndpointsConfig["+strconv.Quote(clipKey(name))+"]")
		if e := ends[name]; e != nil {
			d.endpoint("NetworkingConfig.EndpointsConfig["+strconv.Quote(clipKey(name))+"].", e)
		}
	}
	d.out.Spec.Network = mode
	return nil
}

// ownNetwork is the name of a network, "" for the account's default one.
func ownNetwork(name string) string {
	if name == network.NetworkDefault || name == network.NetworkBridge {
		return ""
	}
	return name
}

// endpoint reads what is asked of one network. What a client repeats of a
// container that ran before (addresses, ids) asks for nothing.
func (d *creation) endpoint(field string, e *network.EndpointSettings) {
	asked := &d.out.Asked
	if e.IPAMConfig != nil {
		for _, a := range append([]netip.Addr{e.IPAMConfig.IPv4Address, e.IPAMConfig.IPv6Address}, e.IPAMConfig.LinkLocalIPs...) {
			if a.IsValid() {
				asked.StaticAddress = append(asked.StaticAddress, a.String())
				d.refuse(true, field+"IPAMConfig")
			}
		}
	}
	if len(e.MacAddress) > 0 {
		asked.MACAddress = e.MacAddress.String()
		d.refuse(true, field+"MacAddress")
	}
	asked.Links = append(asked.Links, e.Links...)
	d.refuse(len(e.Links) > 0, field+"Links")
	d.refuse(len(e.Aliases) > 0, field+"Aliases")
	d.refuse(len(e.DriverOpts) > 0, field+"DriverOpts")
}

// nameService decides how the container finds others by name.
func (d *creation) nameService() error {
	h, spec := d.asked.HostConfig, &d.out.Spec
	d.out.Asked.Links = append(d.out.Asked.Links, h.Links...)
	d.refuse(len(h.Links) > 0, "HostConfig.Links")
	for _, a := range h.DNS {
		if !a.IsValid() {
			return invalid("invalid value for HostConfig.Dns: an address is empty")
		}
		spec.DNS = append(spec.DNS, a.String())
	}
	for field, words := range map[string][]string{"HostConfig.DnsSearch": h.DNSSearch, "HostConfig.DnsOptions": h.DNSOptions} {
		for _, word := range words {
			if word == "" || strings.ContainsAny(word, " \t\r\n\x00") {
				return invalid("invalid value for %s: %.64q is not one word", field, word)
			}
		}
	}
	spec.DNSSearch, spec.DNSOptions = noneIfEmpty(h.DNSSearch), noneIfEmpty(h.DNSOptions)
	for _, host := range h.ExtraHosts {
		name, text, ok := strings.Cut(host, ":")
		if ok && text == "host-gateway" {
			d.refuse(true, "HostConfig.ExtraHosts["+strconv.Quote(clipKey(host))+"]")
			continue
		}
		a, err := netip.ParseAddr(strings.Trim(text, "[]"))
		if !ok || err != nil || !hostnameRule.MatchString(name) {
			return invalid("bad format for add-host: %.128q; use NAME:ADDRESS", host)
		}
		spec.ExtraHosts = append(spec.ExtraHosts, name+":"+a.String())
	}
	return nil
}

func noneIfEmpty(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}
