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

// endpointAddress is the address of this head that users are told; an invalid
// one if it is only known by names.
func (h *head) endpointAddress() netip.Addr {
	for _, host := range h.cfg.Advertise {
		if a, err := netip.ParseAddr(host); err == nil {
			return a.Unmap()
		}
	}
	return netip.Addr{}
}
