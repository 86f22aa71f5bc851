package testaddr

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports are drawn from below those that Linux gives to outgoing connections:
// one of them cannot take a port before its server listens there. Two tests
// hardly draw the same.
const (
	lowest  = 10_000
	highest = 32_000
	tries   = 100
)

// Free is an address on loopback where nobody listens at the moment.
func Free(tb testing.TB) string {
	tb.Helper()
	return FreeOn(tb, "127.0.0.1")
}

// FreeOn is Free for an address of this machine.
func FreeOn(tb testing.TB, ip string) string {
	tb.Helper()
	var err error
	for range tries {
		address := net.JoinHostPort(ip, strconv.Itoa(lowest+rand.IntN(highest-lowest)))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	tb.Fatal("cannot find a free port: ", err)
	return ""
}
