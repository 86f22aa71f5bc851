package network

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// TestFabricsKilledAnywhere kills a process at each failpoint of the life of a
// container on a fabric, and wants that the next one makes all good and that
// nothing is left in the end.
func TestFabricsKilledAnywhere(t *testing.T) {
	if where := os.Getenv("NETWORK_TEST_FABRIC_CHILD"); where != "" {
		fabricLife(t, where)
		return
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	points := map[string]string{ // node → where its first driver is killed
		"node-1": "network/fabric/after-tunnel", "node-2": "network/fabric/after-fence", "node-3": "network/fabric/after-way",
		"node-4": "network/attach/after-firewall", "node-5": "network/attach/after-veth", "node-6": "network/attach/after-unplug",
		"node-10": "network/attach/after-sentry", "node-11": "network/attach/after-names", "node-12": "network/told/after-fabrics", "node-13": "network/told/after-names",
		"node-7": "network/detach/before-namespace", "node-8": "network/segment/before-unpin", "node-9": "network/segment/before-fence",
	}
	m := newMachines(t)
	for node, point := range points {
		m.plugIn(node)
		cmd := exec.Command(self, "-test.run=^TestFabricsKilledAnywhere$")
		cmd.Env = append(os.Environ(), "NETWORK_TEST_FABRIC_CHILD="+m.dir+"|"+node+"|"+m.places[node].String(), failpoint.Variable+"="+point+"=kill")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the child was not killed at %s: %v\n%s", point, err, out)
		}
		m.start(node)
		n := fabric(7, "10.7.0.0/24")
		path, err := m.drivers[node].Attach(context.Background(), Attachment{Container: "one", Account: "alice", NICs: []model.NIC{nicOn(n, "eth0", 11)}, Networks: []model.Network{n}, Resolver: true})
		if err != nil {
			t.Errorf("after %s: %v", point, err)
			continue
		}
		if !reaches(path, "10.201.0.1") {
			t.Errorf("after %s the container has no network", point)
		}
		if err := m.drivers[node].SetNetworks(context.Background(), model.NetworkState{Networks: []model.NetworkView{{Network: n}}}); err != nil {
			t.Errorf("after %s: %v", point, err)
		}
		if entries := m.inSegment(node, n, "bridge fdb show dev tunnel"); strings.Contains(entries, "02:00:00:00:00:01") {
			t.Errorf("after %s a container is remembered that is gone: %s", point, entries)
		}
		m.stop(node)
	}
}

// inSegment runs a command in the namespace of a fabric on a node.
func (m *machines) inSegment(node string, n model.Network, command string) string {
	m.t.Helper()
	out, err := run(m.drivers[node].segments[segmentKey(&n)].pin(), command)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

// fabricLife has a container on a fabric come, change and go.
func fabricLife(t *testing.T, where string) {
	parts := strings.Split(where, "|")
	m := &machines{testbed: &testbed{t: t, dir: parts[0], network: testNetwork()}, places: map[string]netip.Addr{parts[1]: netip.MustParseAddr(parts[2])}}
	d, err := m.tryStart(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	one, two := fabric(7, "10.7.0.0/24"), fabric(8, "10.8.0.0/24")
	for _, networks := range [][]model.Network{{one, two}, {one}} {
		a := Attachment{Container: "one", Account: "alice", Networks: networks, Resolver: true}
		for i, n := range networks {
			nic := nicOn(n, []string{"eth0", "eth1"}[i], 11)
			nic.Rate = 1e9 // so that there is a sentry
			a.NICs = append(a.NICs, nic)
		}
		if _, err := d.Attach(context.Background(), a); err != nil {
			t.Fatal(err)
		}
	}
	there := model.Member{
		ContainerID: "two", AccountID: "alice", Underlay: m.places[parts[1]].Next(), MAC: "02:00:00:00:00:01", Address: addr4(10, 7, 0, 99), Names: []string{"two"}, Up: true,
	}
	if err := d.SetNetworks(context.Background(), model.NetworkState{Networks: []model.NetworkView{{Network: one, Members: []model.Member{there}}}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Detach(context.Background(), "one"); err != nil {
		t.Fatal(err)
	}
	if err := d.SetNetworks(context.Background(), model.NetworkState{}); err != nil {
		t.Fatal(err)
	}
}
