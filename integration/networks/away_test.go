package networks

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// watcher starts a container that reads a page from another one by its name,
// again and again, and publishes how it went: each line is ok or bad. It is
// asked by the network alone, so nothing of it needs an agent.
func watcher(t *testing.T, b *bed.Bed, name, host string, args ...string) (lines func() []string) {
	t.Helper()
	script := `mkdir -p /www && cd /www && : > index.html && httpd -p 80 -h /www
		while :; do if timeout 30 wget -q -O /dev/null http://` + host + `/; then echo ok; else echo bad; fi >> index.html; sleep 0.1; done`
	args = append([]string{"--name", name, "-p", "80"}, args...)
	b.Run(t, append(args, b.Image, "sh", "-c", script)...)
	address := published(t, b, name)[0]
	return func() []string {
		var all []string
		bed.Eventually(t, func() error {
			text, err := page(t, address)
			all = strings.Fields(text)
			return err
		})
		return all
	}
}

// wantMore waits until so many lines more are there, and wants all of them ok.
func wantMore(t *testing.T, lines func() []string, more int, when string) {
	t.Helper()
	from := len(lines())
	var all []string
	bed.Eventually(t, func() error {
		if all = lines(); len(all) < from+more {
			return fmt.Errorf("%s: %d lines of %d", when, len(all), from+more)
		}
		return nil
	})
	if bad := slices.Index(all[from:], "bad"); bad >= 0 {
		t.Errorf("%s, at line %d of %d a name was not found, or its owner not reached", when, bad, len(all)-from)
	}
}

// TestTheNetworkNeedsNoAgent: containers of a node whose agent is dead find and
// reach each other and are reached, and an agent that starts disturbs nothing.
func TestTheNetworkNeedsNoAgent(t *testing.T) {
	b := setting.Shared(t)
	own := unique(t)
	network(t, b, own)
	serve(t, b, own+"-db", "--network", own, "-e", "affinity:node==node-1")
	lines := watcher(t, b, own+"-probe", own+"-db", "--network", own, "-e", "affinity:node==node-1")
	bed.Eventually(t, func() error {
		if all := lines(); len(all) == 0 || all[len(all)-1] != "ok" {
			return fmt.Errorf("so far: %v", all)
		}
		return nil
	})
	wantMore(t, lines, 5, "with an agent")
	b.Fault(t, "kill", "node-1")
	wantMore(t, lines, 20, "with a dead agent")
	b.Fault(t, "start", "node-1")
	bed.Eventually(t, func() error {
		if done := b.Try(t, "exec", own+"-probe", "true"); done.Code != 0 {
			return fmt.Errorf("the agent does not come back: %s", done.Stderr)
		}
		return nil
	})
	wantMore(t, lines, 20, "with the next agent")
	b.Docker(t, "rm", "-f", own+"-db")
	bed.Eventually(t, func() error {
		if all := lines(); all[len(all)-1] != "bad" {
			return fmt.Errorf("who is gone is still there")
		}
		return nil
	})
}

// What a socket says of itself where it listens, by its protocol
// (proc_net_tcp in the kernel's documentation).
const (
	listeningTCP = "0A"
	boundUDP     = "07"
)

// portsOf are the ports of a protocol, tcp or udp, at which a process's network
// namespace listens, beyond its loopback.
func portsOf(t *testing.T, pid int, protocol, state string) (ports []string) {
	t.Helper()
	for _, file := range []string{protocol, protocol + "6"} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "net", file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[3] != state || strings.HasPrefix(fields[1], "0100007F") {
				continue
			}
			_, hex, _ := strings.Cut(fields[1], ":")
			port, err := strconv.ParseUint(hex, 16, 16)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if p := strconv.FormatUint(port, 10); !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
	}
	return ports
}

// TestContainersScanNothingOpen: whatever heads and nodes listen at, no
// container connects there, neither from a fabric nor from an external network.
func TestContainersScanNothingOpen(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	network(t, b, own)
	var targets []string
	for _, h := range b.Hosts(t) {
		if h.Pid == 0 {
			continue // an agent is being killed by another test
		}
		ports := portsOf(t, h.Pid, "tcp", listeningTCP)
		if len(ports) == 0 {
			t.Fatalf("%s listens nowhere", h.Name)
		}
		for _, port := range ports {
			targets = append(targets, net.JoinHostPort(h.Address, port))
		}
	}
	if len(targets) < 8 {
		t.Fatalf("heads and nodes listen at no more than %v", targets)
	}
	open := ""
	for _, target := range targets {
		host, port, _ := net.SplitHostPort(target)
		open += fmt.Sprintf("(nc -w 2 %s %s < /dev/null > /dev/null 2>&1 && echo %s) & ", host, port, target)
	}
	for name, args := range map[string][]string{"fabric": {"--network", own}, "external": {"--network", "external"}} {
		id := b.Run(t, append(args, "--name", own+"-"+name, b.Image, "sleep", "1000")...)
		if out := b.Docker(t, "exec", id, "sh", "-c", open+"wait"); out != "" {
			t.Errorf("from the %s network a container connects to %s", name, out)
		}
	}
	// The scan itself finds what is open.
	serve(t, b, own+"-open", "--network", own)
	bed.Eventually(t, func() error {
		if done := b.Try(t, "exec", own+"-fabric", "sh", "-c", "nc -w 5 "+own+"-open 80 < /dev/null"); done.Code != 0 {
			return fmt.Errorf("an open port is not found: %s", done.Stderr)
		}
		return nil
	})
}

// TestAProjectSpansNodes: a compose file that says nothing of the data center
// has its services find each other wherever they are.
func TestAProjectSpansNodes(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	file := filepath.Join(t.TempDir(), "compose.yml")
	text := `
services:
  web:
    image: ` + b.Image + `
    command: sh -c 'mkdir -p /www && hostname > /www/index.html && exec httpd -f -p 80 -h /www'
    ports: ["80"]
  ask:
    image: ` + b.Image + `
    command: sleep 1000
    depends_on: [web]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	docker := b.With("", "COMPOSE_FILE="+file, "COMPOSE_PROJECT_NAME="+own, "DOCKER_CONFIG="+t.TempDir(), "NO_COLOR=1")
	compose := docker.With(bed.Installed(t, "compose-v5.*"))
	t.Cleanup(func() {
		if out, err := compose.Client(afterTest(t), "down", "-t", "0").CombinedOutput(); err != nil {
			t.Errorf("compose down: %s", out)
		}
	})
	compose.Docker(t, "up", "-d", "--scale", "web=3", "--scale", "ask=3")
	nodes, asking := map[string]bool{}, []string{}
	var names []string
	for _, id := range strings.Fields(docker.Docker(t, "ps", "-q", "--filter", "label=com.docker.compose.project="+own)) {
		nodes[docker.Inspect(t, id, "{{.Node.Name}}")] = true
		if docker.Inspect(t, id, `{{index .Config.Labels "com.docker.compose.service"}}`) == "ask" {
			asking = append(asking, id)
		} else {
			names = append(names, id[:12])
			address := published(t, docker, id)[0]
			bed.Eventually(t, func() error {
				if text, err := page(t, address); err != nil || text != id[:12] {
					return fmt.Errorf("%s answers %q, %v", address, text, err)
				}
				return nil
			})
		}
	}
	if len(nodes) < 2 || len(asking) != 3 || len(names) != 3 {
		t.Fatalf("on the nodes %v there are %d who ask and %d who answer", nodes, len(asking), len(names))
	}
	for _, id := range asking {
		heard := map[string]bool{}
		bed.Eventually(t, func() error {
			if text, ok := get(t, docker, id, "web"); ok {
				heard[text] = true
			}
			for _, name := range names {
				if !heard[name] {
					return fmt.Errorf("by the service's name %s heard %v, and not %s", id, heard, name)
				}
			}
			return nil
		})
	}
}
