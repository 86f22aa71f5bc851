package integration

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/network/namespace"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// Addresses of a stranger to the data center, in a network of its own beside
// this machine (198.51.100.0/24 is for examples: RFC 5737).
const (
	outside       = "198.51.100.2"
	outsideBeside = "198.51.100.1" // this machine there
)

// strangersHost makes a network namespace with one cable to this machine and no
// way to the data center but through it.
func strangersHost(t *testing.T) (name string) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip: install it with scripts/setup test")
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.Contains(net.ParseIP(outside)) {
			t.Skipf("needs a subnet for a stranger: this machine uses %s itself", network)
		}
	}
	name = "spearhead-outside"
	command(t, "ip", "netns", "add", name)
	t.Cleanup(func() { command(t, "ip", "netns", "del", name) })
	command(t, "ip", "link", "add", "shoutside", "type", "veth", "peer", "name", "eth0", "netns", name)
	// It goes with the namespace too, but only some time after it.
	t.Cleanup(func() { command(t, "ip", "link", "del", "shoutside") })
	command(t, "ip", "addr", "add", outsideBeside+"/24", "dev", "shoutside")
	command(t, "ip", "link", "set", "shoutside", "up")
	for _, args := range []string{"addr add " + outside + "/24 dev eth0", "link set eth0 up", "link set lo up"} {
		command(t, "ip", append([]string{"-n", name}, strings.Fields(args)...)...)
	}
	return name
}

// command runs a program of this machine, which must succeed.
func command(t *testing.T, program string, args ...string) {
	t.Helper()
	// Not the test's context: what a test makes is removed when it has ended.
	if out, err := exec.CommandContext(context.Background(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}

// listenIn listens in a network namespace and tells each caller its address.
func listenIn(t *testing.T, host, address string) {
	t.Helper()
	ns, err := os.Open("/var/run/netns/" + host)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var listener net.Listener
	err = namespace.Enter(ns, func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
}

// TestContainersReachOutsideUnderThisMachinesAddress has a server that has no
// route back to containers.
func TestContainersReachOutsideUnderThisMachinesAddress(t *testing.T) {
	b := sharedBed(t)
	listenIn(t, strangersHost(t), outside+":8080")
	id := b.Run(t, b.Image, "sleep", "1000")
	bed.Eventually(t, func() error {
		done := b.Try(t, "exec", id, "wget", "-q", "-O", "-", "http://"+outside+":8080/")
		if !strings.HasPrefix(done.Stdout, outsideBeside+":") {
			return fmt.Errorf("the server sees %q%s (code %d), want %s", done.Stdout, done.Stderr, done.Code, outsideBeside)
		}
		return nil
	})
}

// TestContainersAskTheirOwnResolver: it asks the others, so that a container
// which is connected to a network later knows its names.
func TestContainersAskTheirOwnResolver(t *testing.T) {
	b := sharedBed(t)
	for _, flags := range [][]string{nil, {"--dns", "192.0.2.53"}} {
		var got []string
		args := append(append([]string{"run", "--rm"}, flags...), b.Image, "cat", "/etc/resolv.conf")
		for line := range strings.Lines(b.Docker(t, args...)) {
			if strings.HasPrefix(line, "nameserver") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if diff := cmp.Diff([]string{"nameserver 127.0.0.11"}, got); diff != "" {
			t.Errorf("resolvers of a container with %q (-want +got):\n%s", flags, diff)
		}
	}
}

func TestContainersReachEachOther(t *testing.T) {
	b := sharedBed(t)
	server := b.AddressOf(t, b.Run(t, b.Image, "httpd", "-f", "-p", "80", "-h", "/etc"))
	client := b.Run(t, b.Image, "sleep", "1000")
	bed.Eventually(t, func() error {
		done := b.Try(t, "exec", client, "wget", "-q", "-O", "-", "http://"+server+"/passwd")
		if !strings.Contains(done.Stdout, "root:x:0:0") {
			return fmt.Errorf("one container reads from another %q%s", done.Stdout, done.Stderr)
		}
		return nil
	})
}

func TestContainerWithoutNetwork(t *testing.T) {
	b := sharedBed(t)
	out := b.Docker(t, "run", "--rm", "--network", "none", b.Image, "sh", "-c", "ls /sys/class/net; ip route; ip addr show lo")
	if !strings.HasPrefix(out, "lo\n") || strings.Contains(out, "eth0") || strings.Contains(out, "default") {
		t.Errorf("a container without a network has %q", out)
	}
	if !strings.Contains(out, "127.0.0.1/8") {
		t.Errorf("loopback has no address: %q", out)
	}
}

func TestPublishedPortIsTheContainersOwn(t *testing.T) {
	b := sharedBed(t)
	b.Operator(t, "network", "publish", "container")
	t.Cleanup(func() { b.Operator(t, "network", "publish", "endpoint") })
	id := b.Run(t, "-p", "80:80", b.Image, "httpd", "-f", "-p", "80", "-h", "/etc")
	address := b.AddressOf(t, id)
	want := net.JoinHostPort(address, "80")
	if out := b.Docker(t, "port", id); out != "80/tcp -> "+want {
		t.Errorf("docker port: %q, want %s", out, want)
	}
	if out := b.Docker(t, "ps", "--filter", "id="+id, "--format", "{{.Ports}}"); out != want+"->80/tcp" {
		t.Errorf("docker ps: %q, want %s", out, want)
	}
	bed.Eventually(t, func() error { return fetch("http://"+want+"/passwd", "root:x:0:0") })
}

// TestARackIsUsedLikeOneHost: ports are published at the address of the data
// center too, as clients think that take DOCKER_HOST's host for where
// containers are.
func TestARackIsUsedLikeOneHost(t *testing.T) {
	b := sharedBed(t)
	host, _, err := net.SplitHostPort(strings.TrimPrefix(b.Setting("DOCKER_HOST"), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	id := b.Run(t, "-p", "80", b.Image, "httpd", "-f", "-p", "80", "-h", "/etc")
	binding := `(index (index .NetworkSettings.Ports "80/tcp") 0)`
	first := b.Inspect(t, id, "{{"+binding+".HostIp}}:{{"+binding+".HostPort}}")
	if !strings.HasPrefix(first, host+":") || first == host+":80" {
		t.Errorf("the first binding is %s, want a port of %s that was chosen", first, host)
	}
	bed.Eventually(t, func() error { return fetch("http://"+first+"/passwd", "root:x:0:0") })
	own := net.JoinHostPort(b.AddressOf(t, id), "80")
	if out := b.Docker(t, "port", id); out != "80/tcp -> "+first+"\n80/tcp -> "+own {
		t.Errorf("docker port: %q", out)
	}
	bed.Eventually(t, func() error { return fetch("http://"+own+"/passwd", "root:x:0:0") })
}
