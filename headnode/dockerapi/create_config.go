package dockerapi

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/model"
)

// maxHostname is what RFC 1123 allows, and Docker.
const maxHostname = 63

var hostnameRule = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

// identity decides the container's name for itself and its labels.
func (d *creation) identity() error {
	c, spec := d.asked.Config, &d.out.Spec
	for field, name := range map[string]string{"Hostname": c.Hostname, "Domainname": c.Domainname} {
		if name != "" && (len(name) > maxHostname || !hostnameRule.MatchString(name)) {
			return invalid("invalid value for %s: invalid hostname format: %.70s; use at most %d letters, digits, dots and hyphens", field, name, maxHostname)
		}
	}
	spec.Hostname, spec.Domainname = c.Hostname, c.Domainname
	for _, key := range sortedKeys(c.Labels) {
		switch {
		case key == "":
			return invalid("invalid value for Labels: a label has no name")
		case key == model.LabelReschedule && c.Labels[key] != "true" && c.Labels[key] != "false":
			return invalid("invalid value for Labels[%q]: %.40q; it is true or false", key, c.Labels[key])
		case strings.HasPrefix(key, "com.docker.swarm.constraints"), key == "spearhead.brand":
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
		if strings.HasPrefix(variable, "constraint:") {
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
// address, so a port is published on that address: under its own number unless
// another is asked for. What is to be published at a loopback address is open to
// no other machine, and stays closed here.
func (d *creation) ports() error {
	all := d.asked.HostConfig.PublishAllPorts
	ports := map[network.Port]*model.Port{}
	for port := range d.asked.ExposedPorts {
		ports[port] = &model.Port{Published: all}
	}
	for port, bindings := range d.asked.HostConfig.PortBindings {
		p := &model.Port{Published: len(bindings) == 0}
		ports[port] = p
		for _, b := range bindings {
			outside, asked, err := outsidePort(b.HostPort, port.Num())
			if err != nil {
				return err
			}
			if b.HostIP.IsLoopback() {
				p.Loopback = true
				continue
			}
			p.Published = true
			p.Outside = append(p.Outside, outside)
			if !slices.Contains(p.Endpoint, asked) {
				p.Endpoint = append(p.Endpoint, asked)
			}
			anywhere := !b.HostIP.IsValid() || b.HostIP.IsUnspecified()
			d.refuse(!anywhere, "HostConfig.PortBindings["+strconv.Quote(port.String())+"].HostIp")
		}
	}
	for port, p := range ports {
		protocol := string(port.Proto())
		if port.Num() == 0 || protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
			return invalid("invalid port: %.32q is not a number from 1 to 65535 with tcp, udp or sctp", port.String())
		}
		p.Number, p.Protocol = port.Num(), protocol
		slices.Sort(p.Outside)
		if p.Outside = slices.Compact(p.Outside); slices.Equal(p.Outside, []uint16{p.Number}) {
			p.Outside = nil
		}
		d.out.Spec.Ports = append(d.out.Spec.Ports, *p)
	}
	slices.SortFunc(d.out.Spec.Ports, func(a, b model.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	d.out.PublishAll = d.asked.HostConfig.PublishAllPorts
	return nil
}

// outsidePort reads what a client calls a port of the host: a number, or a
// range to choose from. On the container's own address its own number is taken
// if that leaves it open.
func outsidePort(text string, own uint16) (outside uint16, asked model.EndpointPort, err error) {
	if text == "" {
		return own, asked, nil
	}
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	first, errA := strconv.ParseUint(low, 10, 16)
	last, errB := strconv.ParseUint(high, 10, 16)
	if errA != nil || errB != nil || first > last || first == 0 && ranged {
		return 0, asked, invalid("invalid port specification: %.32q", text)
	}
	asked.First, asked.Last = uint16(first), uint16(last)
	if last == 0 || first <= uint64(own) && uint64(own) <= last {
		return own, asked, nil
	}
	return uint16(first), asked, nil
}

func (d *creation) logging() error {
	l := d.asked.HostConfig.LogConfig
	driver := cmp.Or(l.Type, logopt.JSONFile)
	if err := logopt.Check(driver, l.Config); err != nil {
		return invalid("%s", err)
	}
	d.out.Spec.Log.Driver = driver
	if len(l.Config) > 0 {
		d.out.Spec.Log.Options = l.Config
	}
	return nil
}

// network decides on which network the container is. The networks of a node's
// engine, bridge and default, stand for the account's default network.
func (d *creation) network() error {
	mode := ownNetwork(string(d.asked.HostConfig.NetworkMode))
	if err := d.checkNetworkMode(container.NetworkMode(mode)); err != nil {
		return err
	}
	ends := d.asked.NetworkingConfig.EndpointsConfig
	for _, name := range sortedKeys(ends) {
		own := ownNetwork(name)
		if mode == "" && len(ends) == 1 {
			mode = own
		}
		e, unsupported, err := newEndpoint(own, ends[name])
		if err != nil {
			return err
		}
		for _, field := range unsupported {
			d.refuse(true, "NetworkingConfig.EndpointsConfig["+strconv.Quote(clipKey(name))+"]."+field)
		}
		if own == mode && !asksMore(&e) {
			continue // clients name the mode here too
		}
		d.out.Endpoints = append(d.out.Endpoints, e)
	}
	if d.asked.NetworkDisabled {
		if mode != "" && mode != network.NetworkNone {
			return invalid("conflicting options: NetworkDisabled and the network mode %.64q", mode)
		}
		mode = network.NetworkNone
	}
	d.out.Spec.Network = mode
	return nil
}

// checkNetworkMode refuses what a container cannot have of its own when it
// shares another's network or the node's, in Docker's words.
func (d *creation) checkNetworkMode(mode container.NetworkMode) error {
	c, h := d.asked.Config, d.asked.HostConfig
	if h.UTSMode.IsHost() && c.Hostname != "" {
		return invalid("conflicting options: hostname and the UTS mode")
	}
	if mode.IsHost() && len(h.Links) > 0 {
		return invalid("conflicting options: host type networking can't be used with links. This would result in undefined behavior")
	}
	if !mode.IsContainer() {
		return nil
	}
	for _, conflict := range []struct {
		given bool
		text  string
	}{
		{mode.ConnectedContainer() == "", "invalid network mode: invalid container format container:<name|id>"},
		{len(h.Links) > 0, "conflicting options: container type network can't be used with links. This would result in undefined behavior"},
		{c.Hostname != "", "conflicting options: hostname and the network mode"},
		{len(h.DNS) > 0, "conflicting options: dns and the network mode"},
		{len(h.ExtraHosts) > 0, "conflicting options: custom host-to-IP mapping and the network mode"},
		{len(h.PortBindings) > 0 || h.PublishAllPorts, "conflicting options: port publishing and the container type network mode"},
		{len(c.ExposedPorts) > 0, "conflicting options: port exposing and the container type network mode"},
	} {
		if conflict.given {
			return invalid("%s", conflict.text)
		}
	}
	return nil
}

// ownNetwork is the name of a network, "" for the account's default one.
func ownNetwork(name string) string {
	if name == network.NetworkDefault || name == network.NetworkBridge {
		return ""
	}
	return name
}

// nameService decides how the container finds others by name.
func (d *creation) nameService() error {
	h, spec := d.asked.HostConfig, &d.out.Spec
	d.out.Asked.Links = append(d.out.Asked.Links, h.Links...)
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
		if text == "host-gateway" && hostnameRule.MatchString(name) {
			spec.ExtraHosts = append(spec.ExtraHosts, host) // the node knows the address
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
