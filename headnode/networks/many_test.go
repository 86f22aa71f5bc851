package networks

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// crowd is a state with an account that has fabrics of the given subnets.
func crowd(t interface{ Fatalf(string, ...any) }, subnets ...netip.Prefix) *state.State {
	s, index := state.New(), uint64(0)
	apply := func(c command.Command) {
		index++
		if _, err := s.Apply(index, command.Entry{Command: c}); err != nil {
			t.Fatalf("%T: %v", c, err)
		}
	}
	apply(command.CreateAccount{Account: model.Account{ID: "a", Login: "jill", Policy: model.PolicyTenant}})
	for i, p := range subnets {
		apply(command.PutNetwork{Network: model.Network{
			ID: fmt.Sprint("n", i), Name: fmt.Sprint("n", i), Kind: model.NetworkFabric, AccountID: "a", VNI: uint32(i + 1),
			Subnet: p, First: p.Addr().Next(), Last: p.Addr().Next(),
		}})
	}
	return s
}

func TestAFreeSubnetMeetsNoneThatIsTaken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		taken := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix {
			base := rapid.SampledFrom([]string{"172.16.0.0", "172.17.0.0", "172.18.128.0", "172.30.4.0", "192.168.0.0", "10.200.0.0", "0.0.0.0"}).Draw(t, "base")
			return netip.PrefixFrom(netip.MustParseAddr(base), rapid.IntRange(10, 28).Draw(t, "bits")).Masked()
		}), 0, 12).Draw(t, "taken")
		found, ok := freeSubnet(crowd(t, taken...).View(), "a")
		if !ok {
			t.Fatalf("no subnet beside %v", taken)
		}
		for _, p := range taken {
			if p.Overlaps(found) {
				t.Fatalf("%s meets %s", found, p)
			}
		}
		// It is the first one.
		for p := netip.PrefixFrom(pools[0].from.Addr(), pools[0].bits); pools[0].from.Contains(p.Addr()) && p != found; p = following(p) {
			met := false
			for _, o := range taken {
				met = met || o.Overlaps(p)
			}
			if !met {
				t.Fatalf("%s is free and comes before %s", p, found)
			}
		}
	})
}

// thousand are the subnets that an account's first thousand fabrics get.
func thousand() (subnets []netip.Prefix) {
	for _, pool := range pools {
		for p := netip.PrefixFrom(pool.from.Addr(), pool.bits); pool.from.Contains(p.Addr()) && len(subnets) < 1000; p = following(p) {
			subnets = append(subnets, p)
		}
	}
	return subnets
}

func BenchmarkFreeSubnetBesideAThousand(b *testing.B) {
	v := crowd(b, thousand()...).View()
	for b.Loop() {
		if _, ok := freeSubnet(v, "a"); !ok {
			b.Fatal("none")
		}
	}
}

func BenchmarkAtlasFollowsOneOfAThousand(b *testing.B) {
	s := crowd(b, thousand()...)
	a := newAtlas()
	a.follow(s.View())
	n, _ := s.View().Network("n7")
	index := s.View().Index()
	for b.Loop() {
		index++
		n.MTU = 1300 + int(index%2)
		if _, err := s.Apply(index, command.Entry{Command: command.PutNetwork{Network: n}}); err != nil {
			b.Fatal(err)
		}
		a.follow(s.View())
	}
}
