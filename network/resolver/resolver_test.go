package resolver

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// book is names by a map.
type book map[string][]netip.Addr

func (b book) Lookup(name string) ([]netip.Addr, bool) {
	found, ok := b[name]
	return found, ok
}

func (b book) Reverse(a netip.Addr) (string, bool) {
	for name, all := range b {
		for _, one := range all {
			if one == a {
				return name, true
			}
		}
	}
	return "", false
}

func (b book) Ready() bool { return true }

func (b book) Services(name string) (all []Service) {
	for range b[name] {
		all = append(all, Service{Target: name, Port: 80})
	}
	return all
}

func TestEveryAddressIsReadFromItsReverseName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))
		if rapid.Bool().Draw(t, "is6") {
			a, _ = netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6"))
		}
		name, err := dns.ReverseAddr(a.String())
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := addressOf(strings.TrimSuffix(name, ".")); !ok || got != a {
			if a.Is4In6() {
				t.Skip("the library writes it as IPv4")
			}
			t.Fatalf("%s is read as %s, %v", name, got, ok)
		}
	})
}

func TestAFullBucketIsOneSecondsWorth(t *testing.T) {
	t.Parallel()
	b, now := newBudget(100), time.Now()
	took := 0
	for range 1000 {
		if b.take(now) {
			took++
		}
	}
	for range 1000 {
		if b.take(now.Add(time.Second / 2)) {
			took++
		}
	}
	if took != 150 {
		t.Errorf("%d questions in half a second, want 150", took)
	}
}

// FuzzAnswer has whatever parses as a message answered: what comes out is an
// answer to it that can be sent.
func FuzzAnswer(f *testing.F) {
	s := &Server{cfg: Config{Names: book{
		"db": {netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}, "": {netip.MustParseAddr("10.0.0.2")},
	}}}
	for _, name := range []string{"db.", "DB.", "other.", "1.0.0.10.in-addr.arpa.", "x.ip6.arpa.", "."} {
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeSRV, dns.TypeANY} {
			packed, err := new(dns.Msg).SetQuestion(name, kind).SetEdns0(512, true).Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed)
		}
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		q := new(dns.Msg)
		if q.Unpack(packed) != nil {
			return
		}
		reply := s.own(q)
		if reply == nil {
			return
		}
		if reply.Id != q.Id || !reply.Response || len(reply.Question) != 1 {
			t.Errorf("%v answers %v", reply, q)
		}
		if _, err := reply.Pack(); err != nil {
			t.Errorf("cannot be sent: %v: %v", err, reply)
		}
	})
}
