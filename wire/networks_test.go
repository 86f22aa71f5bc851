package wire

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
)

// drawState draws a state of few things, so that two draws share some.
func drawState(t *rapid.T, name string) model.NetworkState {
	some := func(what string, n int) (ids []int) {
		for i := range n {
			if rapid.Bool().Draw(t, fmt.Sprint(name, what, i)) {
				ids = append(ids, i)
			}
		}
		return ids
	}
	var s model.NetworkState
	for _, n := range some("network", 3) {
		view := model.NetworkView{Network: model.Network{ID: fmt.Sprint("n", n), MTU: rapid.IntRange(0, 1).Draw(t, name+"mtu")}}
		for _, m := range some("member", 3) {
			view.Members = append(view.Members, model.Member{ContainerID: fmt.Sprint("c", m), Up: rapid.Bool().Draw(t, name+"up")})
		}
		s.Networks = append(s.Networks, view)
	}
	for _, n := range some("set", 2) {
		set := model.AddressSet{ID: fmt.Sprint("s", n)}
		for _, a := range some("address", 3) {
			set.Prefixes = append(set.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(a)}), 32))
		}
		s.Sets = append(s.Sets, set)
	}
	for _, n := range some("firewall", 2) {
		s.Firewalls = append(s.Firewalls, model.Firewall{ContainerID: fmt.Sprint("c", n), Rules: []model.FirewallRule{{Inbound: rapid.Bool().Draw(t, name+"in")}}})
	}
	return s
}

func TestChangesLeadFromOneStateToTheOther(t *testing.T) {
	sorted := cmpopts.SortSlices(func(a, b netip.Prefix) bool { return a.String() < b.String() })
	rapid.Check(t, func(t *rapid.T) {
		from := NodeNetworks{Version: 5, NetworkState: drawState(t, "from")}
		to := NodeNetworks{Version: 6, NetworkState: drawState(t, "to")}
		encoded, err := json.Marshal(DiffNetworks(from, to))
		if err != nil {
			t.Fatal(err)
		}
		var changes NodeNetworks
		if err := json.Unmarshal(encoded, &changes); err != nil {
			t.Fatal(err)
		}
		before, _ := json.Marshal(from)
		got, err := from.Apply(changes)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(to, got, sorted, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Fatalf("after %s (-want +got):\n%s", encoded, diff)
		}
		if after, _ := json.Marshal(from); string(after) != string(before) {
			t.Fatalf("applying changes changed what they were applied to: %s, was %s", after, before)
		}
	})
}
