package metal

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/metal/guest"
)

// pair is the site with a second node, which the one install command has made of a machine with
// a pool, from a built tree.
func (s *setting) pair(t *testing.T) *site {
	t.Helper()
	one := s.site(t)
	s.pairOnce.Do(func() { s.pairErr = s.addNode(context.Background(), one) })
	if s.pairErr != nil {
		t.Fatal(s.pairErr)
	}
	// Other tests have the first node to themselves.
	one.root(t, "spearhead node uncordon node-2")
	t.Cleanup(func() {
		if _, err := one.machine.Run(cleanContext(t), "spearhead node cordon node-2"); err != nil {
			t.Error(err)
		}
	})
	return one
}

func (s *setting) addNode(ctx context.Context, one *site) error {
	m, err := s.boot(ctx, filepath.Join(s.work, "second"), guest.Config{Name: "node-2", Number: 2, Wire: s.wire(2), Peer: s.wire(1), Memory: 1024})
	if err != nil {
		return err
	}
	s.shared.second = m
	token, err := one.machine.Run(ctx, "spearhead token create --role node --approve")
	if err != nil {
		return err
	}
	tree := filepath.Join(s.work, "tree.tar")
	if out, err := exec.CommandContext(ctx, "tar", "-C", filepath.Join(s.work, "tree"), "-cf", tree, "--exclude=*.deb", ".").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot pack the tree: %w: %s", err, out)
	}
	if err := m.Put(ctx, tree, "/root/tree.tar"); err != nil {
		return err
	}
	if err := m.Write(ctx, "/etc/systemd/network/eth1.network", fmt.Sprintf(peersNetwork, 2)); err != nil {
		return err
	}
	err = commands(ctx, m,
		"systemctl restart systemd-networkd",
		"mkdir /root/tree && tar -C /root/tree -xf /root/tree.tar && rm /root/tree.tar",
		"/root/tree/bin/spearhead pool create bay /dev/disk/by-id/virtio-disk-0 /dev/disk/by-id/virtio-disk-1",
		"/root/tree/scripts/install node --join 10.20.0.1 --token "+token+" --nic external=eth2 --zfs bay/spearhead --address 10.20.0.2",
		// What is configured stays, also when the command is called again.
		`printf '\n[images]\ninsecure_registries = ["`+outside+`"]\n' >> /etc/spearhead/agent.toml && /root/tree/scripts/install node --join 10.20.0.1 --token `+token,
		"systemctl restart spearhead-agent",
	)
	if err != nil {
		return err
	}
	return promiseMore(ctx, one.machine, "node-2")
}

// onSecond runs a command as root on the second node's machine, which must succeed.
func (s *site) onSecond(t *testing.T, command string) string {
	t.Helper()
	out, err := s.second.Run(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheInstallCommandMakesANode(t *testing.T) {
	s := tests.pair(t)
	for command, want := range map[string]string{
		"systemctl is-enabled spearhead-agent":                                    "enabled",
		"systemctl is-active spearhead-agent":                                     "active",
		"systemctl is-active spearhead-containers":                                "active",
		"zfs list -H -o name bay/spearhead/volumes":                               "bay/spearhead/volumes",
		"grep -c insecure_registries /etc/spearhead/agent.toml":                   "1",
		"spearhead version":                                                       s.root(t, "spearhead version"),
		"dpkg-query -W spearhead 2>&1 | grep -c 'no packages found'":              "1",
		"systemctl --failed --no-legend | wc -l":                                  "0",
		"systemctl show -P FragmentPath spearhead-agent | grep -c ^/etc/systemd/": "1",
	} {
		if got := s.onSecond(t, command); !strings.Contains(got, want) {
			t.Errorf("%s: %q; want %q", command, got, want)
		}
	}
	id := s.Run(t, "-e", "affinity:node==node-2", s.Image, "sleep", "100000")
	if got := s.Inspect(t, id, "{{.Node.Name}}"); got != "node-2" {
		t.Errorf("the container is on %s", got)
	}
}

// A container goes from one machine's OpenZFS to the other's with all that it has written.
func TestAContainerMovesToAnotherMachine(t *testing.T) {
	s := tests.pair(t)
	name := s.volume(t, "moving", "-o", "size=64m")
	id := s.Run(t, "--name", "mover", "-e", "affinity:node==~node-1", "-v", name+":/data", "-m", "48m", s.Image,
		"sh", "-c", "echo begun >> /data/begun; trap 'exit 0' TERM; while :; do sleep 1; done")
	eventually(t, func() error {
		if done := s.Try(t, "exec", id, "cat", "/data/begun"); done.Stdout != "begun\n" {
			return fmt.Errorf("it has not begun: %+v", done)
		}
		return nil
	})
	s.Docker(t, "exec", id, "sh", "-c", "dd if=/dev/urandom of=/data/big bs=1M count=8 2>/dev/null; echo written > /root-file; md5sum /data/big > /data/sum; sync")
	address := s.AddressOf(t, id)
	for _, to := range []string{"node-2", "node-1"} {
		from := s.Inspect(t, id, "{{.Node.Name}}")
		s.root(t, "spearhead container move "+user+"/mover "+to)
		if got := s.Inspect(t, id, "{{.Node.Name}} {{.State.Status}} {{.Name}}"); got != to+" running /mover" {
			t.Fatalf("after the move it is %s", got)
		}
		if got := s.AddressOf(t, id); got != address {
			t.Errorf("it had the address %s and has %s", address, got)
		}
		if got := s.Docker(t, "exec", id, "sh", "-c", "md5sum -c /data/sum; cat /root-file"); got != "/data/big: OK\nwritten" {
			t.Errorf("on %s it has %q", to, got)
		}
		left := map[string]func(*testing.T, string) string{"node-1": s.root, "node-2": s.onSecond}[from]
		eventually(t, func() error {
			if n := left(t, "zfs list -H -o name -r bay/spearhead/volumes | wc -l; zfs list -H -o name -r bay/spearhead | grep -c "+id[:12]+"; true"); strings.Contains(n, "\n0") == false {
				return fmt.Errorf("%s still has datasets of it: %s", from, n)
			}
			return nil
		})
	}
	if got := s.Docker(t, "exec", id, "wc", "-l", "/data/begun"); !strings.HasPrefix(got, "3 ") {
		t.Errorf("it has begun %s times", got)
	}
}
