package dockerapi

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

// TestPortsAreShownAtAllAddressesOfTheHead, and at the container's own after
// them.
func TestPortsAreShownAtAllAddressesOfTheHead(t *testing.T) {
	t.Parallel()
	c := &model.Container{
		State: model.ContainerState{Status: model.StatusRunning},
		NICs:  []model.NIC{{Primary: true, Address: netip.MustParsePrefix("198.51.100.7/24")}},
		Spec: model.ContainerSpec{Ports: []model.Port{{
			Number: 80, Protocol: "tcp", Published: true, Outside: []uint16{8080}, Endpoint: []model.EndpointPort{{First: 8080, Last: 8080, Number: 8080}},
		}}},
	}
	heads := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	const want = "192.0.2.1 2001:db8::1 198.51.100.7"
	var listed, inspected []string
	for _, p := range listedPorts(c, heads) {
		listed = append(listed, p.IP.String())
	}
	for _, p := range portMap(c, heads)[portOf(c.Spec.Ports[0])] {
		inspected = append(inspected, p.HostIP.String())
	}
	if strings.Join(listed, " ") != want || strings.Join(inspected, " ") != want {
		t.Errorf("listed %v, inspected %v", listed, inspected)
	}
}
