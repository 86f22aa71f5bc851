package network

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

func TestContainersReachEachOtherAcrossNodesAndTheOutside(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.node("node-a")
	b.node("node-b")
	da, db := b.open("node-a"), b.open("node-b")
	defer da.Close()
	defer db.Close()
	one := b.attach(da, "one", 11)
	two := b.attach(db, "two", 12)
	three := b.attach(da, "three", 13)

	for _, c := range []struct{ from, to string }{
		{one, "10.201.0.12"}, {two, "10.201.0.11"}, {one, "10.201.0.13"}, {three, "10.201.0.1"},
		{two, "127.0.0.1"}, {b.path("switch"), "10.201.0.12"},
	} {
		if !reaches(c.from, c.to) {
			t.Errorf("%s does not reach %s", c.from, c.to)
		}
	}
	if out, _ := run(one, "ip route"); !strings.Contains(out, "default via 10.201.0.1 dev eth0") {
		t.Errorf("no default route: %s", out)
	}
	if out, _ := run(one, "ip -6 address show dev eth0"); out != "" {
		t.Errorf("eth0 speaks IPv6: %s", out)
	}
	b.detach(da, "one")
	b.detach(da, "three")
	b.detach(db, "two")
}

func TestNoNICsMeansOnlyALoopback(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.node("node-a")
	d := b.open("node-a")
	path, err := d.Attach(context.Background(), Attachment{Container: "lonely", NICs: nil, Networks: nil})
	if err != nil {
		t.Fatal(err)
	}
	if !reaches(path, "127.0.0.1") || reaches(path, "10.201.0.1") {
		t.Error("want a loopback and nothing else")
	}
	b.detach(d, "lonely")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left := b.census("node-a"); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestSpoofedFramesAreDropped(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.node("node-a")
	d := b.open("node-a")
	defer d.Close()
	evil := b.attach(d, "evil", 66)
	b.attach(d, "victim", 11)
	defer b.detach(d, "evil")
	defer b.detach(d, "victim")
	if !reaches(evil, "10.201.0.11") {
		t.Fatal("honest traffic does not pass")
	}
	must := func(command string) {
		t.Helper()
		if out, err := run(evil, command); err != nil {
			t.Fatalf("%s: %v %s", command, err, out)
		}
	}

	t.Run("source address", func(t *testing.T) {
		must("ip address add 10.201.0.99/24 dev eth0")
		b.in("switch", "ip route replace 10.201.0.99/32 dev sw0")
		if _, err := run(evil, "busybox ping -c 1 -W 1 -I 10.201.0.99 10.201.0.1"); err == nil {
			t.Error("a packet with a foreign source address passed")
		}
	})
	t.Run("ARP sender", func(t *testing.T) {
		b.in("switch", "ip neighbour flush all")
		must("ip address add 10.201.0.11/24 dev eth0")
		run(evil, "busybox arping -c 2 -U -I eth0 -s 10.201.0.11 10.201.0.11")
		out := b.in("switch", "ip neighbour show 10.201.0.11")
		if strings.Contains(out, b.nic(66).MAC) {
			t.Errorf("the gateway believes a forged announcement: %s", out)
		}
		if !reaches(b.path("switch"), "10.201.0.11") {
			t.Error("the victim lost its address")
		}
		must("ip address del 10.201.0.11/24 dev eth0")
	})
	t.Run("source MAC", func(t *testing.T) {
		must("ip link set eth0 address 02:66:66:66:66:66")
		if reaches(evil, "10.201.0.1") {
			t.Error("a frame with a foreign MAC passed")
		}
		must("ip link set eth0 address " + b.nic(66).MAC)
		must("ip route replace default via 10.201.0.1 dev eth0")
		if !reaches(evil, "10.201.0.1") {
			t.Error("honest again, but mute")
		}
	})
	t.Run("IPv6", func(t *testing.T) {
		must("busybox sysctl -w net.ipv6.conf.eth0.disable_ipv6=0")
		b.in("switch", "busybox sysctl -w net.ipv6.conf.sw0.disable_ipv6=0")
		b.in("switch", "ip address add fd00:201::1/64 dev sw0 nodad")
		must("ip address add fd00:201::66/64 dev eth0 nodad")
		if _, err := run(evil, "busybox ping -c 1 -W 1 fd00:201::1"); err == nil {
			t.Error("IPv6 passed although none was given")
		}
	})
}

func TestARestartFindsEverythingAgain(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.node("node-a")
	d := b.open("node-a")
	path := b.attach(d, "one", 11)
	d.release() // as if killed: nothing is given back

	d = b.open("node-a")
	if !reaches(path, "10.201.0.1") {
		t.Error("the container lost its network")
	}
	if again := b.attach(d, "one", 11); again != path {
		t.Errorf("another namespace: %s, was %s", again, path)
	}
	if !reaches(path, "10.201.0.1") {
		t.Error("attaching again broke the network")
	}
	boxes, err := d.Sandboxes(context.Background())
	if err != nil || !cmp.Equal(boxes, []string{"one"}) {
		t.Errorf("sandboxes %q, %v", boxes, err)
	}
	if _, err := d.Attach(context.Background(), Attachment{Container: "one", NICs: []model.NIC{b.nic(12)}, Networks: []model.Network{b.network}}); err != nil {
		t.Errorf("another address for the same container: %v", err)
	}
	if out, _ := run(path, "ip address show dev eth0"); strings.Contains(out, "10.201.0.11/") || !reaches(path, "10.201.0.1") {
		t.Errorf("with another address the container has: %s", out)
	}
	b.detach(d, "one")
	b.detach(d, "one")
	b.detach(d, "never-was")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left := b.census("node-a"); left != nil {
		t.Errorf("left behind: %q", left)
	}
	if out := b.in("node-a", "ip link show ext0"); strings.Contains(out, "master") {
		t.Errorf("the NIC was not given back as it was: %s", out)
	}
}

func TestAReusedAddressIsBelievedAtOnce(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.node("node-a")
	b.node("node-b")
	da, db := b.open("node-a"), b.open("node-b")
	defer da.Close()
	defer db.Close()
	b.attach(da, "one", 11)
	if !reaches(b.path("switch"), "10.201.0.11") {
		t.Fatal("unreachable before")
	}
	b.detach(da, "one")
	// the same address, elsewhere, and with another MAC than before
	nic := b.nic(11)
	nic.MAC = "02:aa:00:00:00:0b"
	if _, err := db.Attach(context.Background(), Attachment{Container: "two", NICs: []model.NIC{nic}, Networks: []model.Network{b.network}}); err != nil {
		t.Fatal(err)
	}
	defer b.detach(db, "two")
	deadline := time.Now().Add(5 * time.Second) // a stale entry lives longer
	for {
		if strings.Contains(b.in("switch", "ip neighbour show 10.201.0.11"), nic.MAC) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("neighbours still hold the former owner's MAC")
		}
	}
}

func TestANICWithTheMachinesAddressIsRefused(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.node("node-a")
	b.in("node-a", "ip address add 10.201.0.200/24 dev ext0")
	d := b.open("node-a")
	defer d.Close()
	_, err := d.Attach(context.Background(), Attachment{Container: "one", NICs: []model.NIC{b.nic(11)}, Networks: []model.Network{b.network}})
	if err == nil || !strings.Contains(err.Error(), "10.201.0.200") {
		t.Errorf("took the machine's own NIC: %v", err)
	}
	if boxes, _ := d.Sandboxes(context.Background()); boxes != nil {
		t.Errorf("a refused attach left %q", boxes)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.node("node-a")
	d := b.open("node-a")
	defer d.Close()
	fabric, elsewhere := b.network, b.network
	fabric.Kind, elsewhere.NICTag = model.NetworkFabric, "storage"
	badMAC, badName := b.nic(11), b.nic(11)
	badMAC.MAC, badName.Interface = "no", "an-interface-with-too-long-a-name"
	for _, c := range []struct {
		id   string
		nic  model.NIC
		net  model.Network
		want model.Kind
	}{
		{"../up", b.nic(11), b.network, model.KindInvalid},
		{"one", b.nic(11), model.Network{ID: "other"}, model.KindInvalid},
		{"one", b.nic(11), fabric, model.KindUnavailable},
		{"one", b.nic(11), elsewhere, model.KindUnavailable},
		{"one", badMAC, b.network, model.KindInvalid},
		{"one", badName, b.network, model.KindInvalid},
	} {
		_, err := d.Attach(context.Background(), Attachment{Container: c.id, NICs: []model.NIC{c.nic}, Networks: []model.Network{c.net}})
		if !model.IsKind(err, c.want) {
			t.Errorf("%s %+v: %v, want kind %s", c.id, c.nic, err, c.want)
		}
	}
	if left := b.census("node-a"); left != nil {
		t.Errorf("refusals left %q", left)
	}
}

// TestKilledAnywhere kills a process at each failpoint of attach and detach,
// and wants that a repetition works and that nothing is left in the end.
func TestKilledAnywhere(t *testing.T) {
	if name := os.Getenv("NETWORK_TEST_CHILD"); name != "" {
		childOfKilledAnywhere(t, name)
		return
	}
	t.Parallel()
	b := newTestbed(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range []string{
		"network/segment/after-namespace", "network/segment/before-uplink", "network/segment/after-uplink-moved",
		"network/attach/after-record", "network/attach/after-namespace", "network/attach/after-guard", "network/attach/after-veth",
		"network/detach/before-namespace",
	} {
		t.Run(strings.ReplaceAll(point, "/", " "), func(t *testing.T) {
			b := &testbed{t: t, dir: b.dir, network: b.network}
			node := "n" + strings.ReplaceAll(strings.TrimPrefix(point, "network/"), "/", "")[:10] + string(rune('a'+len(point)%26))
			b.node(node)
			cmd := exec.Command(self, "-test.run=^TestKilledAnywhere$")
			cmd.Env = append(os.Environ(), "NETWORK_TEST_CHILD="+b.dir+"|"+node, failpoint.Variable+"="+point+"=kill")
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("the child was not killed at %s: %v\n%s", point, err, out)
			}
			d := b.open(node)
			if path := b.attach(d, "one", 11); !reaches(path, "10.201.0.1") {
				t.Error("repeated, but no network")
			}
			b.detach(d, "one")
			for _, s := range d.segments {
				waitForLinks(t, s, []string{"ext0"})
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if left := b.census(node); left != nil {
				t.Errorf("left behind: %q", left)
			}
			b.in(node, "ip link show ext0")
		})
	}
}

func childOfKilledAnywhere(t *testing.T, where string) {
	dir, node, _ := strings.Cut(where, "|")
	b := &testbed{t: t, dir: dir, network: testNetwork()}
	d := b.open(node)
	b.attach(d, "one", 11)
	b.detach(d, "one")
}

func BenchmarkAttach(b *testing.B) {
	bed := newTestbed(b)
	bed.node("node-a")
	d := bed.open("node-a")
	defer d.Close()
	bed.attach(d, "warm", 250)
	defer bed.detach(d, "warm")
	var attach, detach time.Duration
	best := time.Hour
	for b.Loop() {
		t0 := time.Now()
		bed.attach(d, "one", 11)
		t1 := time.Now()
		bed.detach(d, "one")
		best = min(best, t1.Sub(t0))
		attach, detach = attach+t1.Sub(t0), detach+time.Since(t1)
	}
	b.ReportMetric(float64(attach.Microseconds())/float64(b.N), "µs/attach")
	b.ReportMetric(float64(best.Microseconds()), "µs/best-attach")
	b.ReportMetric(float64(detach.Microseconds())/float64(b.N), "µs/detach")
}

// TestADriverThatCannotOpenSaysWhy, and leaves nothing open.
func TestADriverThatCannotOpenSaysWhy(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.node("node-a")
	ns, err := os.Open(b.path("node-a"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = openIn(context.Background(), Config{
		RunDir: b.path("run-node-a"), NamesCommand: []string{"/nowhere/at/all"}, Logger: slog.New(slog.DiscardHandler),
	}, ns)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := ns.Stat(); err == nil {
		t.Error("the namespace is held open")
	}
}
