package dockerapi

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

func TestANetworkIsMadeAsAsked(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	status, body := request(t, s, "POST", "/networks/create", `{"Name":"mine","Driver":"overlay","Internal":true,"Labels":{"a":"b"},
		"Options":{"com.docker.network.driver.mtu":"1400"},"IPAM":{"Config":[
		{"Subnet":"10.7.0.0/16","IPRange":"10.7.1.0/24","Gateway":"10.7.0.9","AuxiliaryAddresses":{"printer":"10.7.1.5"}},
		{"Subnet":"fd00:7::/64"}]}}`)
	if status != 201 || len(f.networks) != 1 {
		t.Fatalf("%d %s", status, body)
	}
	got := f.networks[0]
	want := model.Network{
		ID: got.ID, AccountID: got.AccountID, Kind: model.NetworkFabric, Name: "mine", Driver: "overlay", Internal: true, MTU: 1400,
		Subnet: netip.MustParsePrefix("10.7.0.0/16"), Gateway: netip.MustParseAddr("10.7.0.9"),
		First: netip.MustParseAddr("10.7.1.0"), Last: netip.MustParseAddr("10.7.1.255"), Subnet6: netip.MustParsePrefix("fd00:7::/64"),
		Reserved: map[string]netip.Addr{"printer": netip.MustParseAddr("10.7.1.5")},
		Labels:   map[string]string{"a": "b"}, Options: map[string]string{"com.docker.network.driver.mtu": "1400"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	status, body = request(t, s, "GET", "/networks/mine", "")
	for _, part := range []string{`"Driver":"overlay"`, `"Internal":true`, `"Subnet":"fd00:7::/64"`, `"AuxiliaryAddresses":{"printer":"10.7.1.5"}`, `"EnableIPv6":true`} {
		if status != 200 || !strings.Contains(body, part) {
			t.Errorf("inspect lacks %s: %d %s", part, status, body)
		}
	}
}

func TestWhatNetworksCannotBeIsRefusedByName(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	for body, want := range map[string]struct {
		status int
		named  string
	}{
		`{}`:                                    {400, "network name is required"},
		`{"Name":"bridge"}`:                     {403, "bridge"},
		`{"Name":"n","Driver":"macvlan"}`:       {404, "macvlan"},
		`{"Name":"n","Scope":"swarm"}`:          {501, "Scope"},
		`{"Name":"n","Ingress":true}`:           {501, "Ingress"},
		`{"Name":"n","ConfigOnly":true}`:        {501, "ConfigOnly"},
		`{"Name":"n","EnableIPv4":false}`:       {501, "EnableIPv4"},
		`{"Name":"n","Options":{"parent":"x"}}`: {400, "parent"},
		`{"Name":"n","Options":{"com.docker.network.driver.mtu":"big"}}`:                                  {400, "mtu"},
		`{"Name":"n","IPAM":{"Driver":"dhcp"}}`:                                                           {404, "dhcp"},
		`{"Name":"n","IPAM":{"Options":{"a":"b"}}}`:                                                       {501, "IPAM.Options"},
		`{"Name":"n","IPAM":{"Config":[{"Gateway":"10.7.0.1"}]}}`:                                         {400, "subnet"},
		`{"Name":"n","IPAM":{"Config":[{"Subnet":"10.7.0.0/16","Gateway":"10.8.0.1"}]}}`:                  {400, "gateway"},
		`{"Name":"n","IPAM":{"Config":[{"Subnet":"10.7.0.0/16","IPRange":"10.8.0.0/24"}]}}`:               {400, "range"},
		`{"Name":"n","IPAM":{"Config":[{"Subnet":"10.7.0.0/16","AuxiliaryAddresses":{"x":"10.8.0.1"}}]}}`: {400, "aux-address"},
		`{"Name":"n","IPAM":{"Config":[{"Subnet":"10.7.0.0/16"},{"Subnet":"10.8.0.0/16"}]}}`:              {501, "10.8.0.0/16"},
		`{"Name":"n","Later":1}`: {400, "Later"},
	} {
		status, answer := request(t, s, "POST", "/networks/create", body)
		if status != want.status || !strings.Contains(answer, want.named) {
			t.Errorf("%s: %d %s, want %d naming %s", body, status, answer, want.status, want.named)
		}
	}
	if len(f.networks) != 0 {
		t.Errorf("%d networks were made", len(f.networks))
	}
}

func TestPortsAreReachedUnderOtherNumbers(t *testing.T) {
	t.Parallel()
	got, status, answer := create(t, "", `{"Image":"busybox","ExposedPorts":{"9/udp":{}},"HostConfig":{"PortBindings":{
		"80/tcp":[{"HostPort":"8080"},{"HostPort":"8081"}],"443/tcp":[{"HostPort":"400-500"}],"22/tcp":[{"HostPort":"2000-3000"}],"53/udp":[{}]}}}`)
	if status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	want := []model.Port{
		{Number: 9, Protocol: "udp"}, {Number: 22, Protocol: "tcp", Published: true, Outside: []uint16{2000}, Endpoint: []model.EndpointPort{{First: 2000, Last: 3000}}},
		{Number: 53, Protocol: "udp", Published: true, Endpoint: []model.EndpointPort{{}}},
		{Number: 80, Protocol: "tcp", Published: true, Outside: []uint16{8080, 8081}, Endpoint: []model.EndpointPort{{First: 8080, Last: 8080}, {First: 8081, Last: 8081}}},
		{Number: 443, Protocol: "tcp", Published: true, Endpoint: []model.EndpointPort{{First: 400, Last: 500}}},
	}
	if diff := cmp.Diff(want, got.Spec.Ports); diff != "" {
		t.Error(diff)
	}
}

func TestNetworksOfACreateRequest(t *testing.T) {
	t.Parallel()
	got, status, answer := create(t, "", `{"Image":"busybox","HostConfig":{"NetworkMode":"front"},"NetworkingConfig":{"EndpointsConfig":{
		"front":{"Aliases":["www"],"IPAMConfig":{"IPv4Address":"10.0.0.2"}},"back":{"GwPriority":3,"MacAddress":"02:00:00:00:00:05"}}}}`)
	if status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	want := []model.Endpoint{
		{Network: "back", MAC: "02:00:00:00:00:05", Priority: 3},
		{Network: "front", Aliases: []string{"www"}, Address: netip.MustParseAddr("10.0.0.2")},
	}
	if diff := cmp.Diff(want, got.Endpoints, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || got.Spec.Network != "front" {
		t.Errorf("%s %s", got.Spec.Network, diff)
	}
}
