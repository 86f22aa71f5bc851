package metal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/integration/metal/guest"
	"github.com/spearheadcloud/spearhead/internal/seedimage"
)

// site is a machine with a data center on it, as its operator and a user see it.
type site struct {
	*bed.Bed // docker, as the user
	machine  *guest.Machine
	dir      string
	second   *guest.Machine // one more node; nil before it is asked for
}

// patience is how long a slow machine may take for what it does within seconds otherwise.
const patience = 5 * time.Minute

// user is who has the containers, by the name that the tests of other packages use.
const user = "dev"

// outside is this machine, as the machines' first card reaches its loopback.
const outside = "10.0.2.2"

const headFile = `
data_center = "metal"
advertise = ["10.20.0.1", "127.0.0.1"]
insecure_registries = ["` + outside + `"]
`

const agentFile = `
advertise = "10.20.0.1:7947"
# The head on this machine has the usual port.
gossip_listen = ":7948"

[nic_tags]
external = "eth2"
tagged = "trunk"

[storage]
kind = "zfs"
dataset = "bay/spearhead"

[images]
insecure_registries = ["` + outside + `"]
`

// trunk is a cable between two interfaces of a machine: containers' VLANs are at one end, and what
// stands for the switch and the rest of the world is at the other.
const trunk = `
[NetDev]
Name=trunk
Kind=veth

[Peer]
Name=switch
`

const peersNetwork = `
[Match]
Name=eth1

[Network]
Address=10.20.0.%d/24
LinkLocalAddressing=no
`

// close switches the machines off.
func (s *site) close() error {
	err := s.machine.Close()
	if s.second != nil {
		err = errors.Join(err, s.second.Close())
	}
	return err
}

// install makes the machine a head and a node as docs/operators says, and sets a user up.
func (s *site) install(ctx context.Context, from *setting) error {
	if err := prepare(ctx, s.machine, from, 1); err != nil {
		return err
	}
	if err := s.becomeHead(ctx); err != nil {
		return err
	}
	token, err := s.machine.Run(ctx, "spearhead token create --role node --approve")
	if err != nil {
		return err
	}
	if err := becomeNode(ctx, s.machine, "127.0.0.1", token); err != nil {
		return err
	}
	if err := promiseMore(ctx, s.machine, "node-1"); err != nil {
		return err
	}
	if err := s.setUpUser(ctx, from); err != nil {
		return err
	}
	return s.importBusybox(ctx)
}

// prepare installs the package, gives the machine its address among its peers, and a pool.
func prepare(ctx context.Context, m *guest.Machine, from *setting, number int) error {
	if err := m.Put(ctx, from.deb, "/root/spearhead.deb"); err != nil {
		return err
	}
	if err := m.Write(ctx, "/etc/systemd/network/eth1.network", fmt.Sprintf(peersNetwork, number)); err != nil {
		return err
	}
	if err := m.Write(ctx, "/etc/systemd/network/trunk.netdev", trunk); err != nil {
		return err
	}
	return commands(ctx, m,
		"systemctl restart systemd-networkd",
		"apt-get install -y --no-install-recommends -o APT::Sandbox::User=root /root/spearhead.deb",
		"spearhead pool create bay /dev/disk/by-id/virtio-disk-0 /dev/disk/by-id/virtio-disk-1",
	)
}

// becomeHead makes the machine the first head, with what users of it need.
func (s *site) becomeHead(ctx context.Context) error {
	if err := s.machine.Write(ctx, "/etc/spearhead/head.toml", headFile); err != nil {
		return err
	}
	public, err := s.userKey(ctx)
	if err != nil {
		return err
	}
	if err := s.machine.Write(ctx, "/root/user.pub", public); err != nil {
		return err
	}
	if err := commands(ctx, s.machine, "spearhead head init", "systemctl enable --now spearhead-head"); err != nil {
		return err
	}
	if err := soon(ctx, s.machine, "spearhead head ls | grep -q leader"); err != nil {
		return err
	}
	return commands(ctx, s.machine,
		"spearhead package create small --memory 128m --cpus 1 --disk 256m --pids 256 --default",
		"spearhead network create lan --nic-tag external --subnet 10.0.3.0/24 --gateway 10.0.3.2 --first 10.0.3.100 --last 10.0.3.199 --resolver 10.0.3.3 --default",
		"spearhead account create "+user,
		"spearhead key add "+user+" /root/user.pub",
	)
}

// becomeNode makes a machine a node by a token that was approved before.
func becomeNode(ctx context.Context, m *guest.Machine, head, token string) error {
	if err := m.Write(ctx, "/etc/spearhead/agent.toml", agentFile); err != nil {
		return err
	}
	return commands(ctx, m, "spearhead agent join "+head+" --token "+token, "systemctl enable --now spearhead-agent")
}

// promiseMore lets a small machine hold the containers of several tests, which use little.
func promiseMore(ctx context.Context, head *guest.Machine, node string) error {
	if err := soon(ctx, head, "spearhead node ls | grep -q '^"+node+" .* ready '"); err != nil {
		return err
	}
	_, err := head.Run(ctx, "spearhead node set "+node+" --overcommit-cpu 32 --overcommit-disk 8 --overcommit-memory 2")
	return err
}

// commands runs them as root, one after the other; each must succeed.
func commands(ctx context.Context, m *guest.Machine, lines ...string) error {
	for _, line := range lines {
		if _, err := m.Run(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// soon repeats a command until it succeeds.
func soon(ctx context.Context, m *guest.Machine, line string) error {
	return bed.Poll(ctx, patience, func() error { _, err := m.Run(ctx, line); return err })
}

// userKey makes the user's SSH key, in the user's home, and returns its public half.
func (s *site) userKey(ctx context.Context) (string, error) {
	if err := os.MkdirAll(s.home(), 0o700); err != nil {
		return "", err
	}
	key := filepath.Join(s.home(), "id_ed25519")
	if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot make a key: %w: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	return string(public), err
}

func (s *site) home() string { return filepath.Join(s.dir, "home") }

// setUpUser sets a docker client of this machine up for the data center, as its user would.
func (s *site) setUpUser(ctx context.Context, from *setting) error {
	env := append(bed.CleanEnv(), "HOME="+s.home(), "DOCKER_CONFIG="+filepath.Join(s.home(), ".docker"))
	for _, args := range [][]string{
		{"profile", "create", "work", "--url", "https://" + s.machine.Port(2376), "--account", user, "--key", filepath.Join(s.home(), "id_ed25519")},
		{"profile", "docker-setup", "work", "--insecure-first-use"},
	} {
		command := exec.CommandContext(ctx, from.program, args...)
		command.Env = env
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("spearhead %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	s.Bed = &bed.Bed{Env: append(env, "DOCKER_CONTEXT=work"), Image: "busybox:1"}
	return nil
}

// importBusybox gives the user an image, of this machine's own busybox.
func (s *site) importBusybox(ctx context.Context) error {
	root, archive := filepath.Join(s.dir, "busybox"), filepath.Join(s.dir, "busybox.tar")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := seedimage.Busybox(ctx, root); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "tar", "-C", root, "-cf", archive, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot pack busybox: %w: %s", err, out)
	}
	return bed.Poll(ctx, patience, func() error {
		out, err := s.Client(ctx, "import", "--change", `CMD ["/bin/sh"]`, "--change", "ENV PATH=/bin", archive, s.Image).CombinedOutput()
		if err != nil {
			return fmt.Errorf("docker import: %w: %s", err, out)
		}
		return nil
	})
}

// as is the site for one test, which tells what the daemons said if it fails.
func (s *site) as(t *testing.T) *site {
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			said, err := s.machine.Try(ctx, "journalctl -b --no-pager -n 60 -u spearhead-agent -u spearhead-head; dmesg | tail -20; zpool status", nil)
			t.Logf("the machine's journal: %v\n%s", err, said.Stdout)
		}
	})
	s.well(t)
	return s
}

// well waits until the first node is there and nothing is wrong with its storage.
func (s *site) well(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		shown := s.root(t, "spearhead node ls | grep '^node-1 '; true")
		if !strings.Contains(shown, " ready ") || strings.Contains(shown, "its storage") {
			return fmt.Errorf("the node is still\n%s", shown)
		}
		return nil
	})
}

// root runs a command as root on the machine, which must succeed.
func (s *site) root(t *testing.T, command string) string {
	t.Helper()
	out, err := s.machine.Run(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// eventually fails the test if try does not succeed within what a slow machine may take.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	if err := bed.Poll(t.Context(), patience, try); err != nil {
		t.Fatal(err)
	}
}
