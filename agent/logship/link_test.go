package logship

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
)

// Only what the other machine has taken counts as sent.
func TestConfirmedIsWhatHasArrived(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().(*net.TCPAddr)
	to := server{Endpoint: logopt.Endpoint{Network: "tcp", Host: "127.0.0.1", Port: uint16(address.Port)}, write: 100 * time.Millisecond}
	sender, err := connect(context.Background(), &door{}, to, cursor{})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.close(false)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := &batch{bytes: make([]byte, batchBytes), ends: []int{batchBytes}}
	var sent int64
	for { // until nothing fits between the two
		if err := sender.send(context.Background(), b, cursor{Position: sent + batchBytes}); err != nil {
			break
		}
		sent += batchBytes
	}
	if at := sender.confirmed().Position; at == 0 || at >= sent {
		t.Errorf("%d of %d bytes are said to have arrived where nobody reads", at, sent)
	}
	go io.Copy(io.Discard, conn)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); sender.confirmed().Position != sent; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d bytes are said to have arrived", sender.confirmed().Position, sent)
		}
	}
}
