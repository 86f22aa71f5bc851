package ipam

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"pgregory.net/rapid"
)

func external(subnet string) model.Network {
	return Complete(model.Network{
		ID: "n1", Name: "external", Kind: model.NetworkExternal, NICTag: "external", Subnet: netip.MustParsePrefix(subnet),
	})
}

// drawNetwork draws a valid network with a small to middling range.
func drawNetwork(t *rapid.T) model.Network {
	bits := rapid.IntRange(22, 30).Draw(t, "bits")
	base := rapid.Uint32Range(0x0a000000, 0x0affffff).Draw(t, "base")
	p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(base >> 24), byte(base >> 16), byte(base >> 8), byte(base)}), bits)
	return Complete(model.Network{ID: "n", Name: "n", Kind: model.NetworkExternal, NICTag: "x", Subnet: p})
}

func TestEveryAddressIsGivenOutOnceAndThenNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t)
		if err := Validate(n); err != nil {
			t.Fatalf("completed network is invalid: %v", err)
		}
		used := map[netip.Addr]bool{}
		var last netip.Addr
		for {
			a, err := Next(n, func(a netip.Addr) bool { return used[a] }, last)
			if err != nil {
				if !model.IsKind(err, model.KindExhausted) {
					t.Fatalf("wrong kind: %v", err)
				}
				break
			}
			if used[a] || a == n.Gateway || !n.Subnet.Contains(a) || a == n.Subnet.Addr() || a == model.LastAddress(n.Subnet) {
				t.Fatalf("gave out %s of %+v", a, n)
			}
			used[a], last = true, a
		}
		if want := 1<<(32-n.Subnet.Bits()) - 3; len(used) != want {
			t.Fatalf("%d addresses of %s, want %d", len(used), n.Subnet, want)
		}
	})
}

func TestAFreedAddressRests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t)
		if n.Subnet.Bits() == 30 {
			t.Skip("one address only")
		}
		none := func(netip.Addr) bool { return false }
		first, err := Next(n, none, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		a := first
		for i := range 1<<(32-n.Subnet.Bits()) - 4 { // all the others
			if a, err = Next(n, none, a); err != nil || a == first {
				t.Fatalf("step %d: %s again, %v", i, a, err)
			}
		}
		if a, err = Next(n, none, a); err != nil || a != first {
			t.Fatalf("after a full turn: %s, %v, want %s", a, err, first)
		}
	})
}

func TestAStrangeHintStartsAtTheBeginning(t *testing.T) {
	n := external("10.1.2.0/24")
	for _, hint := range []string{"10.1.2.254", "10.9.9.9", "::1", "10.1.2.0"} {
		a, err := Next(n, func(netip.Addr) bool { return false }, netip.MustParseAddr(hint))
		if err != nil || a != n.First {
			t.Errorf("after %s: %s, %v, want %s", hint, a, err, n.First)
		}
	}
}

func TestMACsAreLocalUnicastAndTellAddressesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[0-9a-f]{8}`).Draw(t, "id")
		a := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "a")))
		b := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "b")))
		mac, err := net.ParseMAC(MAC(id, a))
		if err != nil || len(mac) != 6 || mac[0]&3 != 2 {
			t.Fatalf("MAC of %s is %s: %v", a, mac, err)
		}
		if same := MAC(id, a) == MAC(id, b); same != (a == b) {
			t.Fatalf("%s and %s: same MAC %v", a, b, same)
		}
	})
	if a := netip.MustParseAddr("fd00::1"); MAC("n", a) == MAC("n", a.Next()) {
		t.Error("IPv6 addresses have no MAC of their own")
	}
}

func TestValidateNamesTheField(t *testing.T) {
	addr := netip.MustParseAddr
	for _, c := range []struct {
		field string
		spoil func(*model.Network)
	}{
		{"name", func(n *model.Network) { n.Name = "" }},
		{"name", func(n *model.Network) { n.Name = "a b" }},
		{"kind", func(n *model.Network) { n.Kind = "bridge" }},
		{"nic_tag", func(n *model.Network) { n.NICTag = "" }},
		{"nic_tag", func(n *model.Network) { n.NICTag = "../x" }},
		{"vlan", func(n *model.Network) { n.VLAN = 4095 }},
		{"vni", func(n *model.Network) { n.VNI = 7 }},
		{"mtu", func(n *model.Network) { n.MTU = 100 }},
		{"mtu", func(n *model.Network) { n.MTU = 70000 }},
		{"subnet", func(n *model.Network) { n.Subnet = netip.Prefix{} }},
		{"subnet", func(n *model.Network) { n.Subnet = netip.MustParsePrefix("fd00::/64") }},
		{"subnet", func(n *model.Network) { n.Subnet = netip.MustParsePrefix("10.1.2.3/24") }},
		{"subnet", func(n *model.Network) { n.Subnet = netip.MustParsePrefix("10.1.2.0/31") }},
		{"subnet", func(n *model.Network) { n.Subnet = netip.MustParsePrefix("127.1.0.0/16") }},
		{"subnet", func(n *model.Network) { n.Subnet = netip.MustParsePrefix("224.0.0.0/8") }},
		{"gateway", func(n *model.Network) { n.Gateway = addr("10.9.9.9") }},
		{"gateway", func(n *model.Network) { n.Gateway = addr("10.1.2.0") }},
		{"subnet6", func(n *model.Network) { n.Subnet6 = netip.MustParsePrefix("10.3.0.0/24") }},
		{"subnet6", func(n *model.Network) { n.Subnet6 = netip.MustParsePrefix("fe80::/64") }},
		{"gateway6", func(n *model.Network) { n.Subnet6 = netip.MustParsePrefix("fd00::/64") }},
		{"first", func(n *model.Network) { n.First = netip.Addr{} }},
		{"last", func(n *model.Network) { n.Last = addr("10.1.2.255") }},
		{"last", func(n *model.Network) { n.First, n.Last = addr("10.1.2.9"), addr("10.1.2.8") }},
		{"routes", func(n *model.Network) {
			n.Routes = []model.Route{{To: netip.MustParsePrefix("10.9.0.0/16"), Via: addr("10.9.9.9")}}
		}},
		{"routes", func(n *model.Network) {
			n.Routes = []model.Route{{To: netip.MustParsePrefix("10.9.1.1/16"), Via: addr("10.1.2.9")}}
		}},
		{"routes", func(n *model.Network) {
			n.Routes = []model.Route{{To: netip.MustParsePrefix("fd00::/64"), Via: addr("10.1.2.9")}}
		}},
		{"resolvers", func(n *model.Network) { n.Resolvers = []netip.Addr{addr("0.0.0.0")} }},
	} {
		n := external("10.1.2.0/24")
		c.spoil(&n)
		err := Validate(n)
		if !model.IsKind(err, model.KindInvalid) || !strings.Contains(err.Error(), "invalid "+c.field+" of network") {
			t.Errorf("want field %s named: %v", c.field, err)
		}
	}
	fabric := Complete(model.Network{Name: "f", Kind: model.NetworkFabric, VNI: 7, Subnet: netip.MustParsePrefix("10.1.2.0/24"), Subnet6: netip.MustParsePrefix("fd00::/64")})
	if err := Validate(fabric); err != nil {
		t.Errorf("a fabric with both families: %v", err)
	}
	fabric.VNI = 0
	if err := Validate(fabric); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("a fabric without a number: %v", err)
	}
}

func TestSixGivesAddressesOfTheOtherFamily(t *testing.T) {
	n := Complete(model.Network{Subnet: netip.MustParsePrefix("10.1.2.0/24"), Subnet6: netip.MustParsePrefix("fd00::/120")})
	used := map[netip.Addr]bool{}
	for range 254 { // all but the subnet's own and the gateway
		a, err := Next(SixOf(n), func(a netip.Addr) bool { return used[a] }, netip.Addr{})
		if err != nil {
			if len(used) < 253 {
				t.Fatalf("after %d addresses: %v", len(used), err)
			}
			break
		}
		if used[a] || a == n.Gateway6 || !n.Subnet6.Contains(a) {
			t.Fatalf("%s was given out", a)
		}
		used[a] = true
	}
	if Usable(SixOf(n), n.Gateway6) || Usable(n, netip.MustParseAddr("10.1.2.255")) || !Usable(n, netip.MustParseAddr("10.1.2.254")) {
		t.Error("what may be asked for is judged wrongly")
	}
}

func TestCompleteKeepsWhatIsGiven(t *testing.T) {
	n := Complete(model.Network{
		Subnet: netip.MustParsePrefix("10.1.2.99/24"), Gateway: netip.MustParseAddr("10.1.2.254"), First: netip.MustParseAddr("10.1.2.50"),
	})
	if n.Subnet.String() != "10.1.2.0/24" || n.First.String() != "10.1.2.50" || n.Last.String() != "10.1.2.253" {
		t.Errorf("completed to %+v", n)
	}
}

func BenchmarkNextInAHalfFullSlash16(b *testing.B) {
	n := external("10.1.0.0/16")
	half := netip.MustParseAddr("10.1.128.0")
	last := netip.MustParseAddr("10.1.127.255")
	for b.Loop() {
		if _, err := Next(n, func(a netip.Addr) bool { return a.Less(half) }, last); err != nil {
			b.Fatal(err)
		}
	}
}
