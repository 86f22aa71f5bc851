package network

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// carries sends bytes from one namespace to another for as long as they take,
// and returns how many went through in a second.
func carries(t testing.TB, from, to, address string, bytes int) float64 {
	t.Helper()
	var l net.Listener
	if err := inside(t, to, func() (err error) { l, err = net.Listen("tcp", address); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- 0
			return
		}
		defer c.Close()
		n, _ := io.Copy(io.Discard, c)
		got <- n
	}()
	var c net.Conn
	if err := inside(t, from, func() (err error) { c, err = net.Dial("tcp", address); return err }); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for block, left := make([]byte, 64<<10), bytes; left > 0; left -= len(block) {
		if _, err := c.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	n := <-got
	if n < int64(bytes) {
		t.Fatalf("%d bytes of %d arrived", n, bytes)
	}
	return float64(n) / time.Since(begun).Seconds()
}

// TestRatesHold: a limit is a bound from above, which no slow machine breaks.
func TestRatesHold(t *testing.T) {
	t.Parallel()
	m := newMachines(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	limited := nicOn(n, "eth0", 11)
	limited.Rate = 40_000_000 // 5 MB a second
	slow := m.join("node-a", "alice", "slow", []model.Network{n}, limited)
	fast := m.join("node-a", "alice", "fast", []model.Network{n}, nicOn(n, "eth0", 12))
	const most = 5e6 * 1.5 // with what may burst at first
	if got := carries(t, slow, fast, "10.7.0.12:9", 4<<20); got > most {
		t.Errorf("it sends %.0f bytes a second", got)
	}
	if got := carries(t, fast, slow, "10.7.0.11:9", 4<<20); got > most {
		t.Errorf("it is sent %.0f bytes a second", got)
	}
	limited.Rate = 0
	m.join("node-a", "alice", "slow", []model.Network{n}, limited)
	if out, _ := run(slow, "tc qdisc show dev eth0"); strings.Contains(out, "tbf") {
		t.Errorf("the limit stays: %s", out)
	}
}
