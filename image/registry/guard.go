package registry

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/spearheadcloud/spearhead/model"
)

// Policy says how registries may be reached. Its zero value is the default:
// TLS everywhere but on loopback.
type Policy struct {
	hosts    map[string]bool // "host" or "host:port"
	networks []netip.Prefix
	denied   []netip.Prefix
}

// NewPolicy makes a policy. A registry is insecure, which means plain HTTP, any
// certificate and any address are fine, when it is listed as host, host:port or
// by a CIDR that holds its address. No registry may lead to a denied network.
func NewPolicy(insecure []string, denied []netip.Prefix) (*Policy, error) {
	p := &Policy{hosts: make(map[string]bool), denied: denied}
	for _, entry := range insecure {
		if strings.Contains(entry, "/") {
			network, err := netip.ParsePrefix(entry)
			if err != nil {
				return nil, model.WrapError(model.KindInvalid, err, "invalid insecure registry %.64q: use host, host:port or a CIDR", entry)
			}
			p.networks = append(p.networks, network.Masked())
			continue
		}
		if entry == "" || strings.ContainsAny(entry, " \t\n@") {
			return nil, model.Errorf(model.KindInvalid, "invalid insecure registry %.64q: use host, host:port or a CIDR", entry)
		}
		p.hosts[strings.ToLower(entry)] = true
	}
	return p, nil
}

// insecure tells whether plain HTTP is fine with a registry, given as host or
// host:port.
func (p *Policy) insecure(registry string) bool {
	registry = strings.ToLower(registry)
	host := hostname(registry)
	if p.hosts[registry] || p.hosts[host] || isLoopback(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && p.listed(addr)
}

func (p *Policy) listed(addr netip.Addr) bool {
	for _, network := range p.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

func hostname(registry string) string {
	if host, _, err := net.SplitHostPort(registry); err == nil {
		return host
	}
	return strings.Trim(registry, "[]")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// errGuarded marks a connection that was not made because of its address.
type errGuarded struct{ addr netip.Addr }

func (e errGuarded) Error() string {
	return fmt.Sprintf("address %s is not open to registries", e.addr)
}

// control returns a hook for net.Dialer that sees each address after its name
// was resolved, for requests that began with a registry of the given name.
func (p *Policy) control(registry string) func(network, address string, c syscall.RawConn) error {
	named := p.hosts[strings.ToLower(registry)] || p.hosts[hostname(strings.ToLower(registry))]
	loopback := named || isLoopback(hostname(strings.ToLower(registry)))
	return func(_, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("cannot read address %q: %w", address, err)
		}
		addr := target.Addr().Unmap().WithZone("")
		if !p.open(addr, named, loopback) {
			return errGuarded{addr}
		}
		return nil
	}
}

func (p *Policy) open(addr netip.Addr, named, loopback bool) bool {
	for _, network := range p.denied {
		if network.Contains(addr) {
			return false
		}
	}
	switch {
	case p.listed(addr):
		return true
	case addr.IsLoopback():
		return loopback
	case addr.IsLinkLocalUnicast():
		return named
	case addr.IsUnspecified(), addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	}
	return true
}
