package joining

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestRefusalsAreLimitedByAddressAndInSum(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := &limit{now: func() time.Time { return now }}
	address := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250)) }
	for range mostOfOne {
		if !l.open(address(1)) {
			t.Fatal("it is shut too early")
		}
		l.refused(address(1))
	}
	if l.open(address(1)) || !l.open(address(2)) {
		t.Error("who guesses is answered, or somebody else is not")
	}
	for i := range mostOfAll {
		l.refused(address(10 + i))
	}
	if l.open(address(5)) {
		t.Error("many who guess together are answered")
	}
	for i := range 2 * mostSender {
		l.refused(address(1000 + i))
	}
	if len(l.of) > mostSender {
		t.Errorf("%d addresses are remembered", len(l.of))
	}
	now = now.Add(period)
	if !l.open(address(1)) {
		t.Error("it is shut for ever")
	}
}

func TestWhereAnAgentIsReached(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddr("10.0.0.9")
	for said, want := range map[string]string{
		"node-1:7947": "node-1:7947", ":7947": "10.0.0.9:7947", "0.0.0.0:7947": "10.0.0.9:7947", "[::]:7947": "10.0.0.9:7947",
		"[fd00::1]:1": "[fd00::1]:1", "node-1": "", "": "", "node-1:x": "", "node-1:0": "", "node-1:70000": "",
	} {
		got, err := nodeAddress(said, from)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q became %q, %v; want %q", said, got, err, want)
		}
	}
	if _, err := nodeAddress(":7947", netip.Addr{}); err == nil {
		t.Error("an address was made of nothing")
	}
}
