package registry

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/spearheadcloud/spearhead/model"
)

// Options are an operator's word on registries.
type Options struct {
	// Insecure lists registries as host, host:port or by a CIDR that holds
	// their addresses: plain HTTP, any certificate and any address are fine.
	Insecure []string
	// Denied are networks that no registry may lead to.
	Denied []netip.Prefix
	// Mirrors are asked for what is on docker.io before docker.io is, in this
	// order, each as host[:port] or as a URL of http or https. They are the
	// operator's own: they may have any address, and users' credentials are
	// not sent to them.
	Mirrors []string
	// CertsDir holds a folder for each registry with a private authority,
	// named by its host or host:port, as Docker's certs.d does: *.crt are
	// authorities, *.cert with *.key what the node shows of itself. It is read
	// when a registry is spoken to; "" is none.
	CertsDir string
}

// Policy says how registries may be reached. Its zero value is the default:
// TLS everywhere, and nothing on loopback.
type Policy struct {
	insecures model.InsecureRegistries
	denied    []netip.Prefix
	mirrors   []mirror
	certsDir  string
	resolver  *net.Resolver // of tests; nil is the machine's
}

// NewPolicy makes a policy. An entry that cannot be read is KindInvalid.
func NewPolicy(o Options) (*Policy, error) {
	listed, err := model.ParseInsecureRegistries(o.Insecure)
	if err != nil {
		return nil, err
	}
	p := &Policy{insecures: listed, denied: o.Denied, certsDir: o.CertsDir}
	for _, entry := range o.Mirrors {
		m, err := parseMirror(entry)
		if err != nil {
			return nil, err
		}
		p.mirrors = append(p.mirrors, m)
	}
	return p, nil
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

// dialHook sees each address that is dialled, after its name was resolved.
type dialHook func(network, address string, c syscall.RawConn) error

// control returns the hook for requests that began with a registry of the
// given name, as host or host:port.
func (p *Policy) control(registry string) dialHook {
	named := p.insecures.Names(registry)
	return func(_, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("cannot read address %q: %w", address, err)
		}
		addr := target.Addr().Unmap().WithZone("")
		if !p.open(addr, named) {
			return errGuarded{addr}
		}
		return nil
	}
}

func (p *Policy) open(addr netip.Addr, named bool) bool {
	for _, network := range p.denied {
		if network.Contains(addr) {
			return false
		}
	}
	switch {
	case p.insecures.Holds(addr):
		return true
	case addr.IsLoopback(), addr.IsLinkLocalUnicast():
		return named
	case addr.IsUnspecified(), addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	}
	return true
}
