package wire_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/wire"
)

// TestUploadsAreSentInLargePiecesAtOnce: what was read together is sent together,
// and the little that a slow sender has is not kept until there is more.
func TestUploadsAreSentInLargePiecesAtOnce(t *testing.T) {
	t.Parallel()
	const large = 256 << 10
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := wire.NewClient("http://"+l.Addr().String(), nil)
	defer client.Close()
	body, sender := io.Pipe()
	failed := make(chan error, 1)
	go func() { failed <- client.WriteArchive(t.Context(), "any", wire.WriteArchiveRequest{}, body) }()

	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	came := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; { // of the request's head
		if line, err = came.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	go io.WriteString(sender, strings.Repeat("x", large))
	chunks := 0
	for got := 0; got < large; chunks++ {
		got += readChunk(t, came)
	}
	if chunks > 5 {
		t.Errorf("%d KiB were sent in %d pieces", large>>10, chunks)
	}
	for range 3 {
		go io.WriteString(sender, "little")
		if n := readChunk(t, came); n != len("little") {
			t.Errorf("a chunk has %d bytes", n)
		}
	}
	sender.Close()
	if n := readChunk(t, came); n != 0 {
		t.Errorf("the last chunk has %d bytes", n)
	}
	fmt.Fprintf(conn, "HTTP/1.1 %d\r\n\r\n", http.StatusNoContent)
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// readChunk reads a chunk of a body with the end of its line, and returns its size.
func readChunk(t *testing.T, from *bufio.Reader) (size int) {
	t.Helper()
	if _, err := fmt.Fscanf(from, "%x\r\n", &size); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Discard(size + len("\r\n")); err != nil {
		t.Fatal(err)
	}
	return size
}
