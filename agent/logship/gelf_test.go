package logship

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func wantGELF(text string) map[string]any {
	return map[string]any{
		"version": "1.1", "host": "web-1", "short_message": text, "timestamp": 1767323045.678, "level": 6.0,
		"_container_id": strings.Repeat("0123456789abcdef", 4), "_container_name": "web", "_image_id": "sha256:" + strings.Repeat("f", 64), "_image_name": "nginx:1",
		"_command": "nginx -g x", "_tag": "0123456789ab", "_created": "1970-01-01T00:00:01Z", "_A": "1",
	}
}

func TestGELFOverTCP(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	server := catch(t, netns, "127.0.0.1:12201", func(c net.Conn, got func(string)) {
		for r := bufio.NewReader(c); ; {
			text, err := r.ReadString(0)
			if err != nil {
				return
			}
			got(strings.TrimSuffix(text, "\x00"))
		}
	})
	l := newLogger(t)
	c := l.container(netns, "gelf", map[string]string{"gelf-address": "tcp://127.0.0.1:12201", "env": "A"})
	s := newShipper(t)
	l.write(1, "a \x00 \"b\" \xff\n", "\n")
	l.write(2, "error\n")
	begin(t, s, c)
	end(s, c)
	got := server.await(t, count(2))
	if diff := cmp.Diff(wantGELF("a \x00 \"b\" \ufffd"), decode(t, got[0])); diff != "" {
		t.Error(diff)
	}
	if level := decode(t, got[1])["level"]; level != 3.0 || len(got) != 2 {
		t.Errorf("level %v, %d messages", level, len(got))
	}
}

func TestGELFOverUDP(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	conn := inside(t, netns, func() (net.PacketConn, error) { return net.ListenPacket("udp", "127.0.0.1:12201") })
	defer conn.Close()
	random := make([]byte, 12_000)
	for i := range random {
		random[i] = 'a' + byte(rand.IntN(26))
	}
	for kind, unpack := range map[string]func(io.Reader) (io.Reader, error){
		"none": func(r io.Reader) (io.Reader, error) { return r, nil },
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zlib": func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
	} {
		l := newLogger(t)
		c := l.container(netns, "gelf", map[string]string{"gelf-address": "udp://127.0.0.1:12201", "gelf-compression-type": kind, "env": "A"})
		s := newShipper(t)
		begin(t, s, c)
		for _, text := range []string{"short", string(random)} {
			at := l.at
			l.write(1, text+"\n")
			l.at = at
			r, err := unpack(bytes.NewReader(assemble(t, conn)))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantGELF(text), decode(t, string(b))); diff != "" {
				t.Errorf("%s: %s", kind, diff)
			}
		}
	}
}

// assemble reads a message that may come in chunks.
func assemble(t testing.TB, conn net.PacketConn) []byte {
	t.Helper()
	parts := map[byte][]byte{}
	for {
		b := make([]byte, 65536)
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		b = b[:n]
		if len(b) > datagramSize {
			t.Errorf("a datagram of %d bytes", len(b))
		}
		if !bytes.HasPrefix(b, []byte{0x1e, 0x0f}) {
			return b
		}
		parts[b[10]] = b[12:]
		if count := b[11]; len(parts) == int(count) {
			var whole []byte
			for i := range count {
				whole = append(whole, parts[i]...)
			}
			return whole
		}
	}
}
