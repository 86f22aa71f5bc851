package network

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/names"
)

// TestMain is also the process of names, for tests that have one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "names" {
		var cfg names.Config
		flags := flag.NewFlagSet("names", flag.ExitOnError)
		flags.StringVar(&cfg.RunDir, "run-dir", "", "")
		flags.StringVar(&cfg.ResolvConf, "resolv-conf", "", "")
		flags.StringVar(&cfg.Version, "version", "", "")
		flags.Parse(os.Args[2:])
		if err := names.Main(context.Background(), cfg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// newMachinesApart is newMachines with names resolved by processes of their own.
func newMachinesApart(t testing.TB, nodes ...string) *machines {
	t.Helper()
	m := newMachines(t)
	m.apart = "1"
	for _, node := range nodes {
		m.plugIn(node)
		t.Cleanup(func() { m.endNames(node) })
		m.start(node)
	}
	return m
}

func (m *machines) namesSocket(node string) string {
	return filepath.Join(m.path("run-"+node), "names.sock")
}

// endNames ends a node's process of names, as its own client would.
func (m *machines) endNames(node string) {
	m.t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", m.namesSocket(node))
		},
	}}
	r, err := http.NewRequest(http.MethodDelete, "http://names/", nil)
	if err != nil {
		m.t.Fatal(err)
	}
	if answer, err := client.Do(r); err == nil {
		answer.Body.Close()
	}
}

// namesProcess is the process of names of a node, 0 for none.
func (m *machines) namesProcess(node string) int {
	c, err := net.Dial("unix", m.namesSocket(node))
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		m.t.Fatal(err)
	}
	var who *unix.Ucred
	if err := raw.Control(func(fd uintptr) { who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || who == nil {
		m.t.Fatal(err)
	}
	return int(who.Pid)
}

// eventually waits until f says true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		<-tick.C
	}
}

// TestNamesAreAnsweredWhileNoDriverRuns: nothing of a container's names depends
// on who attached it being there.
func TestNamesAreAnsweredWhileNoDriverRuns(t *testing.T) {
	t.Parallel()
	m := newMachinesApart(t, "node-a")
	os.WriteFile(m.path("resolv-node-a"), []byte("nameserver 10.200.0.254\n"), 0o600)
	nameServer(t, m.path("switch"), "10.200.0.254", "198.51.100.7")
	n := fabric(7, "10.7.0.0/24")
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	m.join("node-a", "alice", "b", []model.Network{n}, nicOn(n, "eth0", 12))
	before, ports := m.namesProcess("node-a"), m.drivers["node-a"].boxes["a"].dns
	wantNames := func(when string) {
		t.Helper()
		for _, network := range []string{"udp", "tcp"} {
			if got := asks(t, a, network, "b", dns.TypeA); got != "10.7.0.12" {
				t.Errorf("%s: by %s %q", when, network, got)
			}
			if got := asks(t, a, network, "example.test", dns.TypeA); got != "198.51.100.7" {
				t.Errorf("%s, the world: by %s %q", when, network, got)
			}
		}
	}
	wantNames("with a driver")
	m.drivers["node-a"].release() // as if killed
	wantNames("without one")
	m.start("node-a")
	wantNames("with the next one, which was told nothing yet")
	m.tell()
	wantNames("with the next one")
	if after := m.namesProcess("node-a"); after != before || before == 0 {
		t.Errorf("the process of names was %d and is %d", before, after)
	}
	if after := m.drivers["node-a"].boxes["a"].dns; after != ports {
		t.Errorf("a resolver moved from %v to %v", ports, after)
	}
	m.forget("b")
	m.tell()
	if got := asks(t, a, "udp", "b", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("who is gone is at %q", got)
	}
	stats, err := m.drivers["node-a"].Names(t.Context())
	if q := stats.Questions; err != nil || stats.Resolvers != 2 || q.Answered < 8 || q.Passed < 9 || q.Failed+q.Dropped != 0 {
		t.Errorf("it counts %+v, %v", stats, err)
	}
}

// TestAKilledProcessOfNamesIsReplaced, and the new one knows all that the old
// one knew.
func TestAKilledProcessOfNamesIsReplaced(t *testing.T) {
	t.Parallel()
	m := newMachinesApart(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	for range 3 {
		killed := m.namesProcess("node-a")
		if err := unix.Kill(killed, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "no answers after it was killed", func() bool { return asks(t, a, "udp", "a", dns.TypeA) == "10.7.0.11" })
		if now := m.namesProcess("node-a"); now == killed {
			t.Errorf("it is still %d", now)
		}
	}
	// Who comes while there is none waits for the next one.
	unix.Kill(m.namesProcess("node-a"), unix.SIGKILL)
	b := m.join("node-a", "alice", "b", []model.Network{n}, nicOn(n, "eth0", 12))
	eventually(t, "no answers for who came meanwhile", func() bool { return asks(t, b, "udp", "a", dns.TypeA) == "10.7.0.11" })
	eventually(t, "nobody knows who came meanwhile", func() bool { return asks(t, a, "udp", "b", dns.TypeA) == "10.7.0.12" })
}

// TestADriverOfAnotherVersionHasItsOwnProcessOfNames.
func TestADriverOfAnotherVersionHasItsOwnProcessOfNames(t *testing.T) {
	t.Parallel()
	m := newMachinesApart(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	a := m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	before := m.namesProcess("node-a")
	m.drivers["node-a"].release()
	m.apart = "2"
	m.start("node-a")
	m.tell()
	if after := m.namesProcess("node-a"); after == before || after == 0 {
		t.Errorf("the process of names was %d and is %d", before, after)
	}
	eventually(t, "no answers of the new version", func() bool { return asks(t, a, "udp", "a", dns.TypeA) == "10.7.0.11" })
}

// TestContainersThatWentWhileNoDriverRanAreForgotten: what a resolver holds
// open must not keep a namespace.
func TestContainersThatWentWhileNoDriverRanAreForgotten(t *testing.T) {
	t.Parallel()
	m := newMachinesApart(t, "node-a")
	n := fabric(7, "10.7.0.0/24")
	m.join("node-a", "alice", "a", []model.Network{n}, nicOn(n, "eth0", 11))
	m.join("node-a", "alice", "stays", []model.Network{n}, nicOn(n, "eth0", 12))
	d := m.drivers["node-a"]
	outer := d.boxes["a"].rec.Ports[0].Outer
	d.release()
	b := &sandbox{id: "a", dir: filepath.Join(d.sandboxesDir(), "a")}
	if err := b.remove(); err != nil {
		t.Fatal(err)
	}
	m.forget("a")
	m.start("node-a")
	eventually(t, "the namespace lives on", func() bool {
		out, err := run(m.path("run-node-a/segments/fabric:7/netns"), "ip -br link")
		return err == nil && !strings.Contains(out, outer)
	})
}
