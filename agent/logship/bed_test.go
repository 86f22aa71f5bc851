package logship

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

// within is how long a test waits for what must happen.
const within = 20 * time.Second

// newNetns makes a network namespace in which only lo is up.
func newNetns(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	path := filepath.Join(t.TempDir(), "netns")
	err := namespace.PinNew(path, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { namespace.Unpin(path) })
	return path
}

// inside runs f in a network namespace.
func inside[T any](t testing.TB, netns string, f func() (T, error)) (got T) {
	t.Helper()
	ns, err := os.Open(netns)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := namespace.Enter(ns, func() (err error) { got, err = f(); return err }); err != nil {
		t.Fatal(err)
	}
	return got
}

// A catcher is a log server that keeps what it is sent.
type catcher struct {
	mu    sync.Mutex
	lines []string
	conns map[net.Conn]struct{}
	work  sync.WaitGroup
	stop  func()
}

// catch serves TCP at an address in a namespace; read takes one connection's
// messages and calls got for each.
func catch(t testing.TB, netns, address string, read func(c net.Conn, got func(string))) *catcher {
	t.Helper()
	l := inside(t, netns, func() (net.Listener, error) { return net.Listen("tcp", address) })
	c := &catcher{conns: map[net.Conn]struct{}{}}
	var once sync.Once
	c.stop = func() {
		once.Do(func() {
			l.Close()
			c.cut()
			c.work.Wait()
		})
	}
	t.Cleanup(c.stop)
	c.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns[conn] = struct{}{}
			c.mu.Unlock()
			c.work.Go(func() {
				defer conn.Close()
				read(conn, c.got)
			})
		}
	})
	return c
}

func (c *catcher) got(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, line)
}

// cut ends all connections.
func (c *catcher) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

func (c *catcher) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

// await waits until the server has got what a condition wants.
func (c *catcher) await(t testing.TB, want func(lines []string) bool) []string {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); <-tick.C {
		if lines := c.all(); want(lines) {
			return lines
		}
	}
	t.Fatalf("the server has only got %q", c.all())
	return nil
}

func count(n int) func([]string) bool {
	return func(lines []string) bool { return len(lines) >= n }
}

// byLine reads messages that newlines end.
func byLine(c net.Conn, got func(string)) {
	for s := bufio.NewScanner(c); s.Scan(); {
		got(s.Text())
	}
}

// A logger stands for the supervisor: it writes a container's log.
type logger struct {
	t    testing.TB
	dir  string
	end  int64 // of the parts
	at   time.Time
	keep int // parts; 0 is all
}

func newLogger(t testing.TB) *logger {
	return &logger{t: t, dir: t.TempDir(), at: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)}
}

func (l *logger) write(stream byte, texts ...string) {
	l.t.Helper()
	var b []byte
	for _, text := range texts {
		b = jsonlog.Append(b, stream, []byte(text), l.at)
		l.at = l.at.Add(time.Millisecond)
	}
	f, err := os.OpenFile(filepath.Join(l.dir, jsonlog.Name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(b)
		f.Close()
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// rotate makes what was written so far an old part, and drops the oldest.
func (l *logger) rotate() {
	l.t.Helper()
	path := filepath.Join(l.dir, jsonlog.Name)
	st, err := os.Stat(path)
	if err != nil {
		l.t.Fatal(err)
	}
	p := jsonlog.Part{First: l.end, End: l.end + st.Size()}
	l.end = p.End
	if err := os.Rename(path, filepath.Join(l.dir, p.Name())); err != nil {
		l.t.Fatal(err)
	}
	parts, err := jsonlog.Parts(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	for ; l.keep > 0 && len(parts) > l.keep; parts = parts[1:] {
		os.Remove(filepath.Join(l.dir, parts[0].Name()))
	}
}

// container is one whose log is l.
func (l *logger) container(netns, driver string, options map[string]string) Container {
	dir := l.t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
		return path
	}
	return Container{
		ID: strings.Repeat("0123456789abcdef", 4), Name: "web", Created: time.Unix(1, 0), LogDir: l.dir, Netns: netns,
		Hosts: write("hosts", "127.0.0.1 localhost\n127.0.0.1 logs.example # comment\n"), ResolvConf: write("resolv.conf", "nameserver 127.0.0.1\nsearch corp.example\n"),
		Spec: &model.ContainerSpec{
			Image: "nginx:1", ImageID: "sha256:" + strings.Repeat("f", 64), Hostname: "web-1", Entrypoint: []string{"nginx"}, Cmd: []string{"-g", "x"},
			Env: []string{"A=1", "SECRET=s"}, Labels: map[string]string{"com.x": `"]`}, Log: model.LogConfig{Driver: driver, Options: options},
		},
	}
}

func newShipper(t testing.TB) *Shipper {
	cfg := Config{Linger: within}
	if testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	s := New(cfg)
	t.Cleanup(s.Close)
	return s
}

func begin(t testing.TB, s *Shipper, c Container) {
	t.Helper()
	if err := s.Begin(c); err != nil {
		t.Fatal(err)
	}
}

func end(s *Shipper, c Container) { s.End(context.Background(), c.ID) }

// numbered returns lines that say which they are.
func numbered(from, to int) (lines []string) {
	for i := from; i <= to; i++ {
		lines = append(lines, fmt.Sprintf("line %d\n", i))
	}
	return lines
}

func decode(t testing.TB, text string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return m
}
