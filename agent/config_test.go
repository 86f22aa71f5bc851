package agent

import "testing"

// A machine with several addresses is told of by the one that heads dial.
func TestGossipIsToldAtTheAddressThatHeadsDial(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ listen, advertise, want string }{
		{":7946", "10.20.0.2:7947", "10.20.0.2:7946"},
		{":7948", "[fd00::2]:7947", "[fd00::2]:7948"},
		{"10.20.0.3:7946", "10.20.0.2:7947", ""},
		{":7946", ":7947", ""},
		{":7946", "0.0.0.0:7947", ""},
		{":7946", "node-2.example.org:7947", ""},
	} {
		c := Config{GossipListen: test.listen, Advertise: test.advertise}
		if got := c.gossipAdvertise(); got != test.want {
			t.Errorf("listening at %q, advertised as %q: %q; want %q", test.listen, test.advertise, got, test.want)
		}
	}
}
