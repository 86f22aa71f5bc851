package headnode

import (
	"net"
	"net/netip"

	"github.com/spearheadcloud/spearhead/headnode/networks"
	"github.com/spearheadcloud/spearhead/headnode/publish"
)

// newPublisher returns what publishes ports of containers at the address that
// docker clients connect to.
func (h *head) newPublisher() *publish.Publisher {
	host, _, _ := net.SplitHostPort(h.cfg.DockerListen) // Validate has checked it
	return publish.New(publish.Config{
		Store: h.store, Host: host, Machines: networks.Machines, Logger: h.log,
	})
}

// endpointAddresses are those of this head at which users are told that ports
// are published, one of each family at most; none if it is only known by names.
func endpointAddresses(advertise []string, dockerListen string) (all []netip.Addr) {
	listens := func(netip.Addr) bool { return true }
	host, _, _ := net.SplitHostPort(dockerListen) // Validate has checked it
	if at, err := netip.ParseAddr(host); err == nil && at != netip.IPv6Unspecified() {
		listens = func(a netip.Addr) bool { return a.Is4() == at.Unmap().Is4() }
	}
	known := map[bool]bool{}
	for _, name := range advertise {
		a, err := netip.ParseAddr(name)
		if a = a.Unmap(); err != nil || known[a.Is4()] || !listens(a) {
			continue
		}
		known[a.Is4()] = true
		all = append(all, a)
	}
	return all
}
