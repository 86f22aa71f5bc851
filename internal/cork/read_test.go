package cork_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/cork"
)

// pair is a TCP connection whose one side has a cork.
func pair(t *testing.T) (reader *cork.Conn, writer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	from, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close() })
	return cork.New(from), to.(*net.TCPConn)
}

// record is one of TLS, as it is on the way.
func record(content []byte) []byte {
	return append([]byte{23, 3, 3, byte(len(content) >> 8), byte(len(content))}, content...)
}

// TestReadsEndWithRecords: whatever the pieces in which records come and are read,
// no byte is lost, and no read goes beyond the record's end.
func TestReadsEndWithRecords(t *testing.T) {
	t.Parallel()
	order := rand.New(rand.NewPCG(5, 6))
	var stream []byte
	ends := map[int]bool{0: true}
	for range 200 {
		stream = append(stream, record(bytes.Repeat([]byte{byte(order.Uint32())}, order.IntN(17<<10)))...)
		ends[len(stream)] = true
	}
	r, w := pair(t)
	sent := make(chan error, 1)
	pieces := rand.New(rand.NewPCG(7, 8))
	go func() {
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), 1+pieces.IntN(60<<10))
			if _, err := w.Write(rest[:n]); err != nil {
				sent <- err
				return
			}
			rest = rest[n:]
		}
		sent <- w.CloseWrite()
	}()
	var got []byte
	buffer := make([]byte, 20<<10)
	for {
		ready := r.Ready()
		if ready && !ends[len(got)] {
			t.Fatalf("at %d it is ready in the middle of a record", len(got))
		}
		n, err := r.Read(buffer[:1+order.IntN(len(buffer)-1)])
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := len(got) + 1; i < len(got)+n; i++ {
			if ends[i] {
				t.Fatalf("a read from %d to %d goes beyond a record's end at %d", len(got), len(got)+n, i)
			}
		}
		got = append(got, buffer[:n]...)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got, stream) {
		t.Errorf("%d bytes came, others than the %d that were sent", len(got), len(stream))
	}
}

func TestWholeRecordsAreReady(t *testing.T) {
	t.Parallel()
	r, w := pair(t)
	one, two := record([]byte("one")), record([]byte("second"))
	if _, err := w.Write(append(append([]byte(nil), one...), two...)); err != nil {
		t.Fatal(err)
	}
	awaitBytes(t, r.Conn.(*net.TCPConn), len(one)+len(two))
	if r.Ready() {
		t.Error("ready before anything was read")
	}
	if _, err := io.ReadFull(r, make([]byte, len(one))); err != nil {
		t.Fatal(err)
	}
	if !r.Ready() {
		t.Error("the second record is not ready")
	}
	if _, err := io.ReadFull(r, make([]byte, len(two))); err != nil {
		t.Fatal(err)
	}
	if r.Ready() {
		t.Error("ready when all was read")
	}
}

// awaitBytes waits until so many bytes are there to be read; the kernel gives no
// event for a number.
func awaitBytes(t *testing.T, conn *net.TCPConn, want int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		have := 0
		if err := raw.Control(func(fd uintptr) { have, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }); err != nil {
			t.Fatal(err)
		}
		if have >= want {
			return
		}
	}
	t.Fatal("the bytes do not come")
}

func TestReadsHeedDeadlinesAndTheEnd(t *testing.T) {
	t.Parallel()
	r, w := pair(t)
	if err := r.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := r.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("after the deadline: %v", err)
	}
	if err := r.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.Write(record([]byte("x")))
	if _, err := io.ReadFull(r, make([]byte, 6)); err != nil {
		t.Errorf("without one: %v", err)
	}
	w.Close()
	if _, err := r.Read(make([]byte, 9)); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	r.Close()
	if _, err := r.Read(make([]byte, 9)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("of a closed one: %v", err)
	}
}
