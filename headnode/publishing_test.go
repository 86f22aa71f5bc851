package headnode

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUsersAreToldWhereAHeadListens: an address of each family, if it does
// listen there.
func TestUsersAreToldWhereAHeadListens(t *testing.T) {
	t.Parallel()
	advertise := []string{"head.example.org", "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"}
	for _, c := range []struct {
		listen string
		want   []string
	}{
		{":2376", []string{"192.0.2.1", "2001:db8::1"}},
		{"[::]:2376", []string{"192.0.2.1", "2001:db8::1"}},
		{"0.0.0.0:2376", []string{"192.0.2.1"}},
		{"192.0.2.1:2376", []string{"192.0.2.1"}},
		{"[2001:db8::1]:2376", []string{"2001:db8::1"}},
	} {
		var got []string
		for _, a := range endpointAddresses(advertise, c.listen) {
			got = append(got, a.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("listening at %s (-want +got):\n%s", c.listen, diff)
		}
	}
	if got := endpointAddresses([]string{"::ffff:192.0.2.1"}, ":2376"); len(got) != 1 || got[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("an IPv4 address written as IPv6 is told as %v", got)
	}
}
