package registry

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"github.com/spearheadcloud/spearhead/model"
)

// Policy says how registries may be reached. Its zero value is the default:
// TLS everywhere but on loopback.
type Policy struct {
	insecures model.InsecureRegistries
	denied    []netip.Prefix
}

// NewPolicy makes a policy. A registry is insecure, which means plain HTTP, any
// certificate and any address are fine, when it is listed as host, host:port or
// by a CIDR that holds its address. No registry may lead to a denied network.
func NewPolicy(insecure []string, denied []netip.Prefix) (*Policy, error) {
	listed, err := model.ParseInsecureRegistries(insecure)
	if err != nil {
		return nil, err
	}
	return &Policy{insecures: listed, denied: denied}, nil
}

// insecure tells whether plain HTTP is fine with a registry, given as host or
// host:port.
func (p *Policy) insecure(registry string) bool {
	return p.insecures.Lists(registry) || isLoopback(model.RegistryHost(registry))
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
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
	named := p.insecures.Names(registry)
	loopback := named || isLoopback(model.RegistryHost(registry))
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
	case p.insecures.Holds(addr):
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
