package network

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// testbed is a physical network for tests: a switch (a bridge in a namespace
// of its own, with the gateway's address) and nodes plugged into it by ext0.
type testbed struct {
	t       testing.TB
	dir     string
	network model.Network
}

func newTestbed(t testing.TB) *testbed {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	for _, tool := range []string{"ip", "nsenter", "busybox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: apt-get install iproute2 util-linux busybox-static", tool)
		}
	}
	b := &testbed{t: t, dir: t.TempDir(), network: testNetwork()}
	t.Cleanup(b.unpinLeft)
	b.namespace("switch")
	b.in("switch", "ip link add sw0 type bridge forward_delay 0")
	b.in("switch", "ip link set sw0 up")
	b.in("switch", "ip address add 10.201.0.1/24 dev sw0")
	return b
}

// unpinLeft lets go of the namespaces that a test which failed has left.
func (b *testbed) unpinLeft() {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		b.t.Error(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], b.dir+"/") {
			if err := namespace.Unpin(fields[4]); err != nil {
				b.t.Error(err)
			}
		}
	}
}

func testNetwork() model.Network {
	return ipam.Complete(model.Network{
		ID: "net1", Name: "external", Kind: model.NetworkExternal, NICTag: "external",
		Subnet: netip.MustParsePrefix("10.201.0.0/24"),
	})
}

func (b *testbed) path(name string) string { return filepath.Join(b.dir, name) }

// namespace makes a named namespace that goes with the test.
func (b *testbed) namespace(name string) {
	b.t.Helper()
	h, err := pinNew(b.path(name), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	h.Close()
	b.t.Cleanup(func() {
		if err := namespace.Unpin(b.path(name)); err != nil {
			b.t.Error(err)
		}
	})
}

// node makes a node with a NIC ext0 on the switch.
func (b *testbed) node(name string) {
	b.t.Helper()
	b.namespace(name)
	b.in("switch", fmt.Sprintf("ip link add p-%s type veth peer name ext0 netns %s", name, b.path(name)))
	b.in("switch", fmt.Sprintf("ip link set p-%s master sw0 up", name))
}

// open opens the driver of a node.
func (b *testbed) open(node string) *Driver {
	b.t.Helper()
	d, err := b.tryOpen(node, "ext0")
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *testbed) tryOpen(node, uplink string) (*Driver, error) {
	ns, err := os.Open(b.path(node))
	if err != nil {
		b.t.Fatal(err)
	}
	return openIn(context.Background(), Config{
		RunDir: b.path("run-" + node), Uplinks: map[string]string{"external": uplink},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}, ns)
}

// nic is a NIC of the test network with that last byte of its address.
func (b *testbed) nic(last byte) model.NIC {
	a := netip.AddrFrom4([4]byte{10, 201, 0, last})
	return model.NIC{
		NetworkID: b.network.ID, Interface: "eth0", MAC: ipam.MAC(b.network.ID, a),
		Address: netip.PrefixFrom(a, 24), Gateway: b.network.Gateway, Primary: true,
	}
}

func (b *testbed) attach(d *Driver, id string, last byte) string {
	b.t.Helper()
	path, err := d.Attach(context.Background(), Attachment{Container: id, NICs: []model.NIC{b.nic(last)}, Networks: []model.Network{b.network}})
	if err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *testbed) detach(d *Driver, id string) {
	b.t.Helper()
	if err := d.Detach(context.Background(), id); err != nil {
		b.t.Fatal(err)
	}
}

// in runs a command in a named namespace and wants it to succeed.
func (b *testbed) in(name, command string) string {
	b.t.Helper()
	out, err := run(b.path(name), command)
	if err != nil {
		b.t.Fatalf("%s in %s: %v\n%s", command, name, err, out)
	}
	return out
}

// run runs a command line in the namespace at path.
func run(path, command string) (string, error) {
	args := append([]string{"--net=" + path, "--"}, strings.Fields(command)...)
	out, err := exec.Command("nsenter", args...).CombinedOutput()
	return string(out), err
}

// reaches reports whether one of two pings from the namespace is answered.
func reaches(path, address string) bool {
	_, err := run(path, "busybox ping -c 1 -W 1 "+address)
	if err != nil {
		_, err = run(path, "busybox ping -c 1 -W 1 "+address)
	}
	return err == nil
}

// census lists everything that a node's driver may leave behind.
func (b *testbed) census(node string) []string {
	b.t.Helper()
	var left []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		b.t.Fatal(err)
	}
	runDir := b.path("run-" + node)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " "+runDir+"/") {
			left = append(left, "mount "+strings.Fields(line)[4])
		}
	}
	for _, sub := range []string{"sandboxes", "segments"} {
		entries, err := listed(filepath.Join(runDir, sub))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, "file "+sub+"/"+e)
		}
	}
	return left
}

// links lists the names of links in a segment.
func links(t testing.TB, s *segment) []string {
	t.Helper()
	all, err := s.route.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, l := range all {
		if name := l.Attrs().Name; name != "lo" && name != bridgeName && !strings.HasPrefix(name, "ifb") {
			list = append(list, name)
		}
	}
	return list
}

// waitForLinks waits until the kernel has removed what it removes by itself.
func waitForLinks(t testing.TB, s *segment, want []string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		left := links(t, s)
		if cmp.Equal(left, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("links in the segment: %q, want %q", left, want)
		}
		<-tick.C
	}
}
