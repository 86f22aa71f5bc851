package networks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// afterTest bounds what cleans up when a test's own context has ended.
func afterTest(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestTwoAccountsWithOneSubnet: the same addresses on all nodes, and neither
// account meets the other.
func TestTwoAccountsWithOneSubnet(t *testing.T) {
	shared := setting.Shared(t)
	accounts := map[string]*bed.Bed{"jill": shared.Tenant(t, "net-jill"), "jack": shared.Tenant(t, "net-jack")}
	for login, b := range accounts {
		b.Docker(t, "pull", "-q", b.Image)
		network(t, b, "--subnet", "10.50.0.0/24", "lan")
		for i := range 3 {
			serve(t, b, fmt.Sprintf("%s-%d", login, i), "--network", "lan", "--network-alias", "all", "--ip", fmt.Sprintf("10.50.0.%d", 10+i),
				"-e", fmt.Sprintf("affinity:node==node-%d", i+1))
		}
	}
	for login, b := range accounts {
		places := map[string]bool{}
		for i := range 3 {
			from := fmt.Sprintf("%s-%d", login, i)
			places[b.Inspect(t, from, "{{.Node.Name}}")] = true
			for j := range 3 {
				to := fmt.Sprintf("%s-%d", login, j)
				for _, host := range []string{to, fmt.Sprintf("10.50.0.%d", 10+j)} {
					bed.Eventually(t, func() error {
						if page, ok := get(t, b, from, host); !ok || page != to {
							return fmt.Errorf("%s reads %q from %s, want %s", from, page, host, to)
						}
						return nil
					})
				}
			}
			if page, ok := get(t, b, from, "all"); !ok || !strings.HasPrefix(page, login) {
				t.Errorf("%s reads %q from the alias", from, page)
			}
		}
		if len(places) != 3 {
			t.Errorf("the containers of %s are not on all nodes: %v", login, places)
		}
		wantOneGateway(t, b, login)
	}
	for _, name := range []string{"jack-1", "net-jack"} {
		if page, ok := get(t, accounts["jill"], "jill-0", name); ok {
			t.Errorf("jill's container finds %s of another account: %q", name, page)
		}
	}
}

// wantOneGateway has a container on each node leave the network by its own
// node, through a gateway that is the same everywhere.
func wantOneGateway(t *testing.T, b *bed.Bed, login string) {
	t.Helper()
	gateways := map[string]bool{}
	for i := range 3 {
		from := fmt.Sprintf("%s-%d", login, i)
		bed.Eventually(t, func() error {
			if done := b.Try(t, "exec", from, "ping", "-c", "1", "-W", "5", machineOf(t, b)); done.Code != 0 {
				return fmt.Errorf("%s has no way out: %s%s", from, done.Stdout, done.Stderr)
			}
			return nil
		})
		for line := range strings.Lines(b.Docker(t, "exec", from, "cat", "/proc/net/arp")) {
			if fields := strings.Fields(line); len(fields) > 3 && fields[0] == "10.50.0.1" {
				gateways[fields[3]] = true
			}
		}
	}
	if len(gateways) != 1 {
		t.Errorf("the gateway is not the same on all nodes: %v", gateways)
	}
}

// TestNetworksAreJoinedAndLeftWhileRunning, also by a container on another node.
func TestNetworksAreJoinedAndLeftWhileRunning(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	front, back := own+"-front", own+"-back"
	network(t, b, "--ipv6", front)
	network(t, b, "--internal", back)
	serve(t, b, own+"-db", "--network", back)
	serve(t, b, own+"-www", "--network", front)
	if page, ok := get(t, b, own+"-www", own+"-db"); ok {
		t.Fatalf("containers of different networks meet: %q", page)
	}
	b.Docker(t, "network", "connect", "--alias", "www", back, own+"-www")
	for from, to := range map[string][2]string{own + "-www": {own + "-db", own + "-db"}, own + "-db": {"www", own + "-www"}} {
		bed.Eventually(t, func() error {
			if page, ok := get(t, b, from, to[0]); !ok || page != to[1] {
				return fmt.Errorf("%s reads %q from %s", from, page, to[0])
			}
			return nil
		})
	}
	b.Docker(t, "restart", "-t", "0", own+"-www")
	bed.Eventually(t, func() error {
		if page, ok := get(t, b, own+"-db", "www"); !ok || page != own+"-www" {
			return fmt.Errorf("after a restart: %q", page)
		}
		return nil
	})
	if out := b.Docker(t, "network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{end}}", back); len(strings.Fields(out)) != 2 {
		t.Errorf("on the network are %q", out)
	}
	if done := b.Try(t, "network", "rm", back); done.Code == 0 || !strings.Contains(done.Stderr, "has active endpoints") {
		t.Errorf("a network in use: %+v", done)
	}
	b.Docker(t, "network", "disconnect", back, own+"-www")
	if page, ok := get(t, b, own+"-db", "www"); ok {
		t.Errorf("a container that left is found: %q", page)
	}
	if six := b.Inspect(t, own+"-www", "{{(index .NetworkSettings.Networks \""+front+"\").GlobalIPv6Address}}"); !strings.HasPrefix(six, "fd") {
		t.Errorf("IPv6 address %q", six)
	}
	// There is no way out of an internal network.
	if done := b.Try(t, "exec", own+"-db", "ping", "-c", "1", "-W", "1", hostOf(t, b)); done.Code == 0 {
		t.Error("an internal network has a way out")
	}
	if done := b.Try(t, "exec", own+"-www", "ping", "-c", "1", "-W", "2", machineOf(t, b)); done.Code != 0 {
		t.Errorf("a fabric has no way out: %s%s", done.Stdout, done.Stderr)
	}
}

// hostOf is the address of a head.
func hostOf(t *testing.T, b *bed.Bed) string {
	t.Helper()
	host, _, err := net.SplitHostPort(strings.TrimPrefix(setting.Shared(t).Setting("DOCKER_HOST"), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// machineOf is this machine's address among the containers' external ones.
func machineOf(t *testing.T, b *bed.Bed) string {
	t.Helper()
	return b.Docker(t, "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "external")
}

// page reads a page from this machine.
func page(t *testing.T, address string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return strings.TrimSpace(string(text)), err
}

// TestPublishedPortsAreReachedAndOthersAreNot, from this machine and from
// containers of another account.
func TestPublishedPortsAreReachedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	shared := setting.Shared(t)
	b, stranger := shared, shared.Tenant(t, "net-stranger")
	stranger.Docker(t, "pull", "-q", stranger.Image)
	own := unique(t)
	network(t, b, own)
	serve(t, b, own+"-open", "--network", own, "-p", "8080:80", "-p", "8081:80")
	serve(t, b, own+"-closed")
	serve(t, b, own+"-own")
	stranger.Run(t, "--name", "stranger", stranger.Image, "sleep", "1000")

	ports := published(t, b, own+"-open")
	if len(ports) != 2 {
		t.Fatalf("docker port prints %q", ports)
	}
	for _, address := range ports {
		bed.Eventually(t, func() error {
			if text, err := page(t, address); err != nil || text != own+"-open" {
				return fmt.Errorf("%s answers %q, %v", address, text, err)
			}
			return nil
		})
		if text, ok := get(t, stranger, "stranger", address); !ok || text != own+"-open" {
			t.Errorf("another account reads %q from %s", text, address)
		}
	}
	host, _, _ := net.SplitHostPort(ports[0])
	closed := b.AddressOf(t, own+"-closed")
	for _, address := range []string{host + ":80", closed + ":80"} {
		if text, err := page(t, address); err == nil {
			t.Errorf("%s is not published and answers this machine %q", address, text)
		}
		if text, ok := get(t, stranger, "stranger", address); ok {
			t.Errorf("%s is not published and answers another account %q", address, text)
		}
	}
	bed.Eventually(t, func() error {
		if text, ok := get(t, b, own+"-own", closed); !ok || text != own+"-closed" {
			return fmt.Errorf("the account's own container reads %q", text)
		}
		return nil
	})
	if done := b.Try(t, "run", "--rm", "-p", "8080:80", "-p", "8080:81", b.Image, "true"); done.Code == 0 || !strings.Contains(done.Stderr, "8080/tcp") {
		t.Errorf("one number for two ports: %+v", done)
	}
}

// published are the ports of a container at its own address; heads' come beside
// them.
func published(t *testing.T, b *bed.Bed, container string) (ports []string) {
	t.Helper()
	for _, word := range strings.Fields(b.Docker(t, "port", container)) {
		if strings.Contains(word, ":") && !strings.HasPrefix(word, hostOf(t, b)+":") {
			ports = append(ports, word)
		}
	}
	return ports
}

// TestManagementIsOutOfReach: a container reaches neither the daemons of heads
// nor those of nodes.
func TestManagementIsOutOfReach(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	network(t, b, own)
	serve(t, b, own, "--network", own)
	var hosts []string
	for _, h := range b.Hosts(t) {
		hosts = append(hosts, h.Address)
	}
	if len(hosts) < 4 {
		t.Fatalf("hosts: %v", hosts)
	}
	for _, host := range hosts {
		for _, port := range []string{"2380", "2381", "7946", "7947"} {
			if done := b.Try(t, "exec", own, "nc", "-w", "1", host, port); done.Code == 0 {
				t.Errorf("a container connects to %s:%s", host, port)
			}
		}
	}
}

// TestKilledAgentsForgetNothing kills each node's agent while containers come,
// join, leave and go; the bed finds at its end what was left behind.
func TestKilledAgentsForgetNothing(t *testing.T) {
	b := setting.Shared(t)
	own := unique(t)
	network(t, b, own)
	for round, node := range []string{"node-1", "node-2", "node-3"} {
		stay := serve(t, b, fmt.Sprintf("%s-%d", own, round), "--network", own)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 6 {
				name := fmt.Sprintf("%s-%d-%d", own, round, i)
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				_ = b.Client(ctx, "run", "-d", "--name", name, "-p", "80", b.Image, "sleep", "100").Run() // the agent may be dead
				_ = b.Client(ctx, "network", "connect", own, name).Run()
				_ = b.Client(ctx, "network", "disconnect", own, name).Run()
				cancel()
			}
		}()
		b.Fault(t, "kill", node)
		b.Fault(t, "start", node)
		<-done
		bed.Eventually(t, func() error {
			for _, id := range strings.Fields(b.Docker(t, "ps", "-aq", "--filter", "name="+fmt.Sprintf("%s-%d-", own, round))) {
				if out := b.Try(t, "rm", "-f", id); out.Code != 0 {
					return fmt.Errorf("rm: %s", out.Stderr)
				}
			}
			return nil
		})
		bed.Eventually(t, func() error {
			if text, ok := get(t, b, stay, fmt.Sprintf("%s-%d", own, round)); !ok || text != fmt.Sprintf("%s-%d", own, round) {
				return fmt.Errorf("the container that stayed reads %q from itself", text)
			}
			return nil
		})
	}
	out := strings.Fields(b.Docker(t, "network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{end}}", own))
	slices.Sort(out)
	if want := []string{own + "-0", own + "-1", own + "-2"}; !slices.Equal(out, want) {
		t.Errorf("on the network are %v, want %v", out, want)
	}
}

// TestRulesHoldWithinMoments of an operator's word, for containers that have
// the tags and for those that get them later.
func TestRulesHoldWithinMoments(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	network(t, b, own)
	serve(t, b, own+"-db", "--network", own, "--label", "role="+own+"-db")
	var www []string // one on each node
	for i := range 3 {
		www = append(www, fmt.Sprintf("%s-www-%d", own, i+1))
		serve(t, b, www[i], "--network", own, "--label", "role="+own+"-www", "-e", fmt.Sprintf("affinity:node==node-%d", i+1))
	}
	reads := func(from string, want bool) {
		t.Helper()
		bed.Eventually(t, func() error {
			if page, ok := get(t, b, from, own+"-db"); ok != want {
				return fmt.Errorf("%s reads %q, %t, want %t", from, page, ok, want)
			}
			return nil
		})
	}
	all := func(want bool) {
		t.Helper()
		for _, one := range www {
			reads(one, want)
		}
	}
	all(true)
	id := strings.TrimSpace(b.Operator(t, "fwrule", "create", "FROM tag role = "+own+"-www TO tag role = "+own+"-db BLOCK tcp PORT 80 PRIORITY 10"))
	all(false)
	serve(t, b, own+"-late", "--network", own, "--label", "role="+own+"-www")
	reads(own+"-late", false)
	if out := b.Operator(t, "fwrule", "ls"); !strings.Contains(out, id) || !strings.Contains(out, "BLOCK tcp PORT 80") {
		t.Errorf("fwrule ls: %s", out)
	}
	b.Operator(t, "fwrule", "disable", id)
	all(true)
	b.Operator(t, "fwrule", "rm", id)
}
