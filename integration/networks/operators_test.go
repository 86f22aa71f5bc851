package networks

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/network/namespace"
)

// external describes a network of the data center, and removes it when the test
// ends. Its subnets are for examples (RFC 5737) and it is in a VLAN of its own.
func external(t *testing.T, b *bed.Bed, name, vlan, subnet string, more ...string) {
	t.Helper()
	p := netip.MustParsePrefix(subnet)
	gateway := p.Addr().Next()
	first := gateway.Next()
	last := first // two addresses, or one where there are no more
	if p.Contains(first.Next().Next()) {
		last = first.Next()
	}
	args := []string{
		"network", "create", "--nic-tag", "external", "--vlan", vlan, "--subnet", subnet, "--gateway", gateway.String(),
		"--first", first.String(), "--last", last.String(),
	}
	b.Operator(t, append(append(args, more...), name)...)
	t.Cleanup(func() { b.Operator(t, "network", "rm", name) })
}

// TestExternalNetworksAreInVLANs of the nodes' wire, as they are described:
// addresses from the range, routes, and no way to what is in another VLAN.
func TestExternalNetworksAreInVLANs(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	if _, err := os.Stat("/proc/net/vlan"); err != nil {
		t.Skip("needs a kernel with VLANs: load the module 8021q")
	}
	external(t, b, "vlan7", "7", "198.51.100.0/29", "--route", "203.0.113.0/24=198.51.100.1", "--mtu", "1400", "--subnet6", "2001:db8:7::/64")
	external(t, b, "vlan8", "8", "198.51.100.0/29") // the same addresses, elsewhere
	for _, vlan := range []string{"vlan7", "vlan8"} {
		for i, node := range []string{"node-1", "node-2"} {
			serve(t, b, fmt.Sprint(own, "-", vlan, "-", i), "--network", vlan, "-e", "affinity:node=="+node)
		}
	}
	for _, vlan := range []string{"vlan7", "vlan8"} {
		from, to := fmt.Sprint(own, "-", vlan, "-0"), fmt.Sprint(own, "-", vlan, "-1")
		address := b.Inspect(t, to, "{{(index .NetworkSettings.Networks \""+vlan+"\").IPAddress}}")
		if a := netip.MustParseAddr(address); a.Less(netip.MustParseAddr("198.51.100.2")) || netip.MustParseAddr("198.51.100.3").Less(a) {
			t.Errorf("%s is not of the range that is given out", address)
		}
		for _, host := range []string{address, to} {
			bed.Eventually(t, func() error {
				if text, ok := get(t, b, from, host); !ok || text != to {
					return fmt.Errorf("%s reads %q from %s, want %s", from, text, host, to)
				}
				return nil
			})
		}
	}
	inside := b.Docker(t, "exec", own+"-vlan7-0", "sh", "-c", "ip route; ip addr show eth0; ip -6 route")
	for _, want := range []string{"203.0.113.0/24 via 198.51.100.1", "default via 198.51.100.1", "mtu 1400", "2001:db8:7::", "default via 2001:db8:7::1"} {
		if !strings.Contains(inside, want) {
			t.Errorf("the container lacks %q:\n%s", want, inside)
		}
	}
	done := b.Try(t, "run", "--rm", "--network", "vlan7", b.Image, "true")
	if done.Code == 0 || !strings.Contains(done.Stderr, "no free address in network vlan7") {
		t.Errorf("the range is used up: %+v", done)
	}
}

// TestSeveralExternalNetworksOnOneWire give out addresses of their ranges, with
// the routes that they have.
func TestSeveralExternalNetworksOnOneWire(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	external(t, b, "beside", "0", "198.51.100.16/29", "--route", "203.0.113.128/25=198.51.100.17", "--mtu", "1400", "--resolver", "198.51.100.17", "--subnet6", "2001:db8:7::/64")
	for i, node := range []string{"node-1", "node-2"} {
		serve(t, b, fmt.Sprint(own, "-", i), "--network", "beside", "-e", "affinity:node=="+node)
	}
	for _, host := range []string{own + "-1", "198.51.100.18", "198.51.100.19"} {
		bed.Eventually(t, func() error {
			if text, ok := get(t, b, own+"-0", host); !ok || !strings.HasPrefix(text, own) {
				return fmt.Errorf("a container reads %q from %s", text, host)
			}
			return nil
		})
	}
	inside := b.Docker(t, "exec", own+"-0", "sh", "-c", "ip route; ip addr show eth0; ip -6 route")
	for _, want := range []string{"203.0.113.128/25 via 198.51.100.17", "default via 198.51.100.17", "mtu 1400", "2001:db8:7::", "default via 2001:db8:7::1"} {
		if !strings.Contains(inside, want) {
			t.Errorf("the container lacks %q:\n%s", want, inside)
		}
	}
	if done := b.Try(t, "run", "--rm", "--network", "beside", b.Image, "true"); done.Code == 0 || !strings.Contains(done.Stderr, "no free address in network beside") {
		t.Errorf("the range is used up: %+v", done)
	}
	done, err := b.Spearhead(t.Context(), []string{"SPEARHEAD_SOCKET=" + b.Setting("SPEARHEAD_SOCKET")}, "network", "create", "--nic-tag", "external",
		"--subnet", "198.51.100.0/24", "--gateway", "198.51.100.1", "--first", "198.51.100.2", "--last", "198.51.100.200", "overlapping")
	if err == nil || !strings.Contains(err.Error(), "gives out the same addresses") {
		t.Errorf("a range of another network on the same wire: %s, %v", done, err)
	}
}

// TestNetworksOfSomeAccounts are there for those accounts only.
func TestNetworksOfSomeAccounts(t *testing.T) {
	t.Parallel()
	shared := setting.Shared(t)
	jill, jack := shared.Tenant(t, "net-member"), shared.Tenant(t, "net-other")
	external(t, shared, "members", "0", "203.0.113.0/29", "--account", "net-member")
	for _, b := range []*bed.Bed{jill, jack} {
		b.Docker(t, "pull", "-q", b.Image)
	}
	if out := jill.Docker(t, "run", "--rm", "--network", "members", jill.Image, "ip", "addr", "show", "eth0"); !strings.Contains(out, "203.0.113.") {
		t.Errorf("a member's container has %s", out)
	}
	id := jill.Docker(t, "network", "inspect", "-f", "{{.Id}}", "members")
	for _, ref := range []string{"members", id, id[:12]} {
		done := jack.Try(t, "run", "--rm", "--network", ref, jack.Image, "true")
		if done.Code != 125 || !strings.Contains(done.Stderr, "network "+ref+" not found") {
			t.Errorf("another account on %s: %+v", ref, done)
		}
	}
	if out := jack.Docker(t, "network", "ls", "--format", "{{.Name}}"); strings.Contains(out, "members") {
		t.Errorf("another account lists %s", out)
	}
}

// TestPoolsAndTheLabelOfPublicNetworks, with the commands of operators and
// users.
func TestPoolsAndTheLabelOfPublicNetworks(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	external(t, b, "pool-a", "0", "198.51.100.8/30")
	external(t, b, "pool-b", "0", "203.0.113.8/29")
	b.Operator(t, "network", "pool", "create", "public", "pool-a", "pool-b")
	t.Cleanup(func() { b.Operator(t, "network", "pool", "rm", "public") })
	network(t, b, own)
	first := b.Run(t, "--name", own+"-1", "--network", "public", b.Image, "sleep", "1000")
	second := b.Run(t, "--name", own+"-2", "--network", own, "-p", "8099:80", "--label", "triton.network.public=public", b.Image, "sleep", "1000")
	for id, subnet := range map[string]string{first: "198.51.100.8/30", second: "203.0.113.8/29"} {
		address := b.Inspect(t, id, "{{(index .NetworkSettings.Networks \"public\").IPAddress}}")
		if a, err := netip.ParseAddr(address); err != nil || !netip.MustParsePrefix(subnet).Contains(a) {
			t.Errorf("the address is %q, want one of %s", address, subnet)
		}
	}
	if out := b.Docker(t, "network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}} {{end}}{{range .Containers}}{{.Name}} {{end}}", "public"); !strings.HasPrefix(out, "198.51.100.8/30 203.0.113.8/29 ") ||
		!strings.Contains(out, own+"-1") || !strings.Contains(out, own+"-2") {
		t.Errorf("docker network inspect of a pool: %s", out)
	}
	if out := b.Operator(t, "network", "pool", "ls"); !strings.Contains(out, "pool-a pool-b") {
		t.Errorf("network pool ls: %s", out)
	}
	if done := b.Try(t, "run", "--rm", "--network", own, "--label", "triton.network.public=public", b.Image, "true"); done.Code != 125 || !strings.Contains(done.Stderr, "requires a published port") {
		t.Errorf("a label that says nothing: %+v", done)
	}
}

// TestWhatNetworksRefuse in Docker's words.
func TestWhatNetworksRefuse(t *testing.T) {
	t.Parallel()
	shared := setting.Shared(t)
	b, stranger := shared, shared.Tenant(t, "net-refused")
	own := unique(t)
	network(t, b, "--subnet", "10.77.0.0/29", "--gateway", "10.77.0.1", own)
	id := b.Docker(t, "network", "inspect", "-f", "{{.Id}}", own)
	stranger.Docker(t, "pull", "-q", stranger.Image)
	b.Run(t, "--name", own+"-1", "--network", own, "--ip", "10.77.0.5", b.Image, "sleep", "1000")
	for _, c := range []struct {
		bed  *bed.Bed
		says string
		args []string
	}{
		{b, "Pool overlaps with other one on this address space", []string{"network", "create", "--subnet", "10.77.0.0/16", own + "-wider"}},
		{b, "network with name " + own + " already exists", []string{"network", "create", own}},
		{b, "network with name external already exists", []string{"network", "create", "external"}},
		{b, "Address already in use", []string{"run", "--rm", "--network", own, "--ip", "10.77.0.5", b.Image, "true"}},
		{b, "does not belong to any of this network's subnets", []string{"run", "--rm", "--network", own, "--ip", "10.78.0.5", b.Image, "true"}},
		{b, "does not belong to any of this network's subnets", []string{"run", "--rm", "--network", own, "--ip", "10.77.0.1", b.Image, "true"}},
		{b, "invalid MAC address", []string{"run", "--rm", "--network", own, "--mac-address", "01:00:5e:00:00:01", b.Image, "true"}},
		{b, "has active endpoints (name:\"" + own + "-1\"", []string{"network", "rm", own}},
		{b, "pre-defined network and cannot be removed", []string{"network", "rm", "external"}},
		{b, "already exists in network " + own, []string{"network", "connect", own, own + "-1"}},
		{b, "is not connected to network", []string{"network", "disconnect", "external", own + "-1"}},
		{stranger, "network " + own + " not found", []string{"network", "inspect", own}},
		{stranger, "network " + id + " not found", []string{"network", "rm", id}},
		{stranger, "network " + id + " not found", []string{"run", "--rm", "--network", id, b.Image, "true"}},
		{stranger, "network " + id[:12] + " not found", []string{"run", "--rm", "--network", id[:12], b.Image, "true"}},
		{stranger, "No such container: " + own + "-1", []string{"network", "connect", "external", own + "-1"}},
	} {
		if done := c.bed.Try(t, c.args...); done.Code == 0 || !strings.Contains(done.Stderr, c.says) {
			t.Errorf("docker %s: code %d, %s, want %q", strings.Join(c.args, " "), done.Code, done.Stderr, c.says)
		}
	}
	for range 4 { // beside the gateway and .5 there are no more
		b.Run(t, "--network", own, b.Image, "sleep", "1000")
	}
	if done := b.Try(t, "run", "--rm", "--network", own, b.Image, "true"); done.Code == 0 || !strings.Contains(done.Stderr, "no free address in network "+own) {
		t.Errorf("a subnet that is used up: %+v", done)
	}
}

// TestANetworkGoesBeforeItsStoppedContainers, which do not start until they
// have left it.
func TestANetworkGoesBeforeItsStoppedContainers(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	id := b.Docker(t, "network", "create", own)
	b.Run(t, "--name", own+"-web", "--network", own, b.Image, "sleep", "1000")
	b.Docker(t, "stop", "-t", "0", own+"-web")
	b.Docker(t, "network", "rm", own)
	if done := b.Try(t, "start", own+"-web"); done.Code == 0 || !strings.Contains(done.Stderr, "network "+id+" not found") {
		t.Errorf("docker start: %+v", done)
	}
	network(t, b, own)
	if done := b.Try(t, "start", own+"-web"); done.Code == 0 || !strings.Contains(done.Stderr, "network "+id+" not found") {
		t.Errorf("docker start, with another network of the name: %+v", done)
	}
	b.Docker(t, "network", "rm", own)
	b.Docker(t, "network", "disconnect", "--force", own, own+"-web")
	again := own + "-again"
	network(t, b, again)
	b.Docker(t, "network", "connect", again, own+"-web")
	b.Docker(t, "start", own+"-web")
	if got := b.Inspect(t, own+"-web", "{{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{end}}"); strings.TrimSpace(got) != again {
		t.Errorf("it is on %q", got)
	}
	b.Docker(t, "rm", "-f", own+"-web")
}

// TestPortsAtTheDataCentersAddress are carried by tcp and udp, and are one
// container's at a time, whoever's.
func TestPortsAtTheDataCentersAddress(t *testing.T) {
	t.Parallel()
	shared := setting.Shared(t)
	b, stranger := shared, shared.Tenant(t, "net-endpoint")
	stranger.Docker(t, "pull", "-q", stranger.Image)
	own, host := unique(t), hostOf(t, b)
	network(t, b, own)
	serve(t, b, own+"-web", "--network", own, "-p", "18080:80")
	at := net.JoinHostPort(host, "18080")
	reads := func(want string) {
		t.Helper()
		bed.Eventually(t, func() error {
			if text, err := page(t, at); err != nil || text != want {
				return fmt.Errorf("%s answers %q, %v, want %s", at, text, err, want)
			}
			return nil
		})
	}
	reads(own + "-web")
	done := stranger.Try(t, "run", "-d", "--name", own, "-p", "18080:80", stranger.Image, "sleep", "1000")
	if done.Code != 125 || !strings.Contains(done.Stderr, "Bind for 0.0.0.0:18080 failed: port is already allocated") {
		t.Errorf("another account publishes the same port: %+v", done)
	}
	b.Docker(t, "stop", "-t", "0", own+"-web")
	stranger.Docker(t, "start", own)
	if text, err := page(t, at); err == nil {
		t.Errorf("a container without a server answers %q", text)
	}
	stranger.Docker(t, "rm", "-f", own)
	b.Docker(t, "start", own+"-web")
	reads(own + "-web")

	// The daemons' own ports stay theirs.
	if done := b.Try(t, "run", "--rm", "-p", "2376:80", b.Image, "true"); done.Code != 125 || !strings.Contains(done.Stderr, "2376 failed: port is already allocated") {
		t.Errorf("a port of the head: %+v", done)
	}
	echoes(t, b, b.Run(t, "-p", "18053:53/udp", b.Image, "sleep", "1000"))
	conn, err := net.Dial("udp", net.JoinHostPort(host, "18053"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	bed.Eventually(t, func() error {
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, "hello"); err != nil {
			return err
		}
		buffer := make([]byte, 100)
		n, err := conn.Read(buffer)
		if err == nil && string(buffer[:n]) != "hello" {
			err = fmt.Errorf("heard %q", buffer[:n])
		}
		return err
	})
}

// echoes answers datagrams to port 53 in a container's network.
func echoes(t *testing.T, b *bed.Bed, container string) {
	t.Helper()
	ns, err := os.Open("/proc/" + b.Inspect(t, container, "{{.State.Pid}}") + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var conn net.PacketConn
	if err := namespace.Enter(ns, func() (err error) {
		conn, err = net.ListenPacket("udp4", ":53")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buffer[:n], from) // who asked asks again
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
}
