package endtoend

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/internal/testaddr"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
	"github.com/spearheadcloud/spearhead/wire"
)

const nodeID = "node-1"

// testRuntime is the environment variable that names the OCI runtime of the
// tests; without it they use what a node uses by itself.
const testRuntime = "AGENT_TEST_OCI"

// street is the network that containers have addresses of: each node's own.
var street = model.Network{
	ID: "street", Name: "street", Kind: model.NetworkExternal, NICTag: "external",
	Subnet: netip.MustParsePrefix("10.77.0.0/24"), Gateway: netip.MustParseAddr("10.77.0.1"),
}

// node is a machine with an agent, seen by a head.
type node struct {
	testing.TB
	cfg      agent.Config
	head     *pki.Identity
	client   *wire.Client
	cmd      *exec.Cmd
	exited   chan struct{}
	stderr   *bytes.Buffer
	image    model.Image
	nextHost byte
	heard    wire.Ack // of the journal, what a head would have by now
}

// newNode makes a machine that is enrolled, and runs no agent yet.
func newNode(t testing.TB) *node {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes namespaces, mounts and control groups")
	}
	if _, err := os.Stat("/usr/bin/crun"); err != nil {
		t.Skip("needs crun: apt install crun")
	}
	dir, err := os.MkdirTemp("", "sh-agent-") // short: sockets live in it
	if err != nil {
		t.Fatal(err)
	}
	n := &node{TB: t, nextHost: 10, cfg: agent.Config{
		Name: nodeID, StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"), IdentityDir: filepath.Join(dir, "pki"),
		WireListen: testaddr.Free(t), GossipListen: testaddr.Free(t),
		CgroupParent: "/" + filepath.Base(dir), IodCommand: []string{"/proc/self/exe", "iod"},
		NICTags: map[string]string{"external": "uplink0"}, NetworkPrefix: "et", Version: "test",
		Runtime: os.Getenv(testRuntime), InsecureRegistries: []string{"127.0.0.0/8"},
	}}
	t.Cleanup(func() {
		n.kill()
		n.endLeftovers(dir)
		os.RemoveAll(dir)
	})
	n.enroll()
	n.ok(exec.Command("ip", "link", "add", "uplink0", "type", "veth", "peer", "name", "street0").Run())
	n.ok(exec.Command("ip", "addr", "add", "10.77.0.1/24", "dev", "street0").Run())
	n.ok(exec.Command("ip", "link", "set", "street0", "up").Run())
	return n
}

func (n *node) ok(err error) {
	n.Helper()
	if err != nil {
		n.Fatalf("%v\n--- the agent's log:\n%s", err, n.log())
	}
}

func (n *node) log() string {
	if n.stderr == nil || n.cmd != nil {
		return ""
	}
	return n.stderr.String()
}

// enroll gives node and head identities of one data center.
func (n *node) enroll() {
	n.Helper()
	now := time.Now()
	ca, err := pki.CreateCA("dc", now)
	n.ok(err)
	sign := func(role pki.Role, id string) (key, cert []byte) {
		key, request, err := pki.NewRequest()
		n.ok(err)
		cert, err = ca.Sign(request, role, id, nil, now)
		n.ok(err)
		return key, cert
	}
	key, cert := sign(pki.RoleNode, nodeID)
	n.ok(join.Save(n.cfg.IdentityDir, key, join.Answer{
		Certificate: cert, CA: ca.Certificate(), GossipKeys: [][]byte{bytes.Repeat([]byte{7}, 32)}, Label: "dc",
	}))
	key, cert = sign(pki.RoleHead, "head-1")
	n.head, err = pki.NewIdentity(key, cert, ca.Certificate())
	n.ok(err)
}

// start starts the agent with failpoints and waits until it serves.
func (n *node) start(failpoints string) {
	n.Helper()
	config, err := json.Marshal(n.cfg)
	n.ok(err)
	self, err := os.Executable()
	n.ok(err)
	n.stderr = new(bytes.Buffer)
	n.cmd = exec.Command(self, "agent", string(config))
	n.cmd.Env = append(os.Environ(), "FAILPOINTS="+failpoints)
	n.cmd.Stderr = n.stderr
	n.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	n.ok(n.cmd.Start())
	cmd, exited := n.cmd, make(chan struct{})
	n.exited = exited
	go func() {
		cmd.Wait()
		close(exited)
	}()
	n.client = wire.NewClient("https://"+n.cfg.WireListen, n.head.ClientTLS(pki.RoleNode, nodeID))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); ; {
		select {
		case <-n.exited:
			n.cmd = nil
			n.Fatalf("the agent ended:\n%s", n.log())
		case <-tick.C:
		}
		_, err := n.client.Info(n.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			n.kill()
			n.Fatalf("the agent does not serve: %v\n%s", err, n.log())
		}
	}
}

// kill ends the agent as kill -9 does, if it has not ended itself.
func (n *node) kill() {
	if n.cmd == nil {
		return
	}
	n.cmd.Process.Kill()
	<-n.exited
	n.cmd = nil
	n.client.Close()
}

// diedByItself waits until a failpoint has ended the agent.
func (n *node) diedByItself() {
	n.Helper()
	select {
	case <-n.exited:
	case <-time.After(15 * time.Second):
		n.kill()
		n.Fatalf("the failpoint was not reached:\n%s", n.log())
	}
	n.cmd = nil
	n.client.Close()
}

// endLeftovers takes the node apart: its wire, iod, and whatever a failed test
// left running or mounted.
func (n *node) endLeftovers(dir string) {
	exec.Command("ip", "link", "del", "street0").Run() // and its other end, wherever that is
	if pids, err := exec.Command("pgrep", "-f", dir).Output(); err == nil {
		for _, pid := range strings.Fields(string(pids)) {
			exec.Command("kill", "-9", pid).Run()
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		n.Error(err)
	}
	if groups, err := filepath.Glob("/sys/fs/cgroup/*" + n.cfg.CgroupParent); err == nil {
		for _, group := range groups {
			exec.Command("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run()
		}
	}
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if words := strings.Fields(lines[i]); len(words) > 1 && strings.HasPrefix(words[1], dir) {
			unix.Unmount(words[1], unix.MNT_DETACH)
		}
	}
}

// pull makes the node hold an image with a shell.
func (n *node) pull() {
	n.Helper()
	registry := imagetest.StartRegistry(n.TB)
	layers, config := imagetest.BusyboxImage(n.TB)
	_, err := imagetest.PushTar(n.Context(), registry, "busybox:latest", layers, config)
	n.ok(err)
	s, err := n.client.PullImage(n.Context(), wire.PullRequest{Ref: registry + "/busybox:latest"})
	n.ok(err)
	defer s.Close()
	for {
		m, err := s.Next()
		n.ok(err)
		n.ok(m.Error.Err())
		if m.Image != nil {
			n.image = m.Image.Image
			return
		}
	}
}

// request is a create request for a shell script with an address of its own.
func (n *node) request(script string) wire.CreateRequest {
	n.nextHost++
	address := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 0, n.nextHost}), 24)
	return wire.CreateRequest{
		Container: model.Container{
			ID: model.NewID(), Name: "c", AccountID: "account", NodeID: nodeID, Created: time.Now(),
			Spec: model.ContainerSpec{
				ImageID: n.image.ID, Cmd: []string{"sh", "-c", script}, Env: n.image.Config.Env,
				Hostname: "c", Network: "street", Log: model.LogConfig{Driver: "json-file"},
			},
			NICs: []model.NIC{{
				NetworkID: "street", Interface: "eth0", MAC: fmt.Sprintf("02:00:0a:4d:00:%02x", n.nextHost),
				Address: address, Gateway: street.Gateway, Primary: true,
			}},
		},
		Account:  wire.AccountRef{ID: "account", Login: "account", Policy: model.PolicyTenant},
		Networks: []model.Network{street},
	}
}

// container returns what the node says of a container, or false.
func (n *node) container(id string) (model.ContainerState, bool) {
	n.Helper()
	all, err := n.client.Containers(n.Context())
	n.ok(err)
	for _, c := range all {
		if c.ID == id {
			return c.State, true
		}
	}
	return model.ContainerState{}, false
}

// await follows the journal until an entry about a container says action.
func (n *node) await(id, action string) model.JournalEntry {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), 30*time.Second)
	defer cancel()
	s, err := n.client.Journal(ctx, wire.Ack{})
	n.ok(err)
	defer s.Close()
	var last model.JournalEntry
	for {
		batch, err := s.Next()
		n.ok(err)
		for _, e := range batch {
			if e.ContainerID == id && e.Action == action {
				last = e
			}
		}
		if last.Action != "" {
			return last
		}
	}
}

// output reads frames of stdcopy until the stream ends or text has come.
func (n *node) output(r io.Reader, text string) string {
	n.Helper()
	var out bytes.Buffer
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return out.String()
		}
		_, err := io.CopyN(&out, r, int64(binary.BigEndian.Uint32(head[4:])))
		n.ok(err)
		if text != "" && strings.Contains(out.String(), text) {
			return out.String()
		}
	}
}

// wantNothingLeft checks what the kernel still has of this node's containers.
func (n *node) wantNothingLeft() {
	n.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	n.ok(err)
	for line := range strings.Lines(string(mounts)) {
		words := strings.Fields(line)
		nodesOwn := words[1] == n.cfg.StateDir+"/images/mounts" || strings.HasPrefix(words[1], n.cfg.RunDir+"/net/segments/")
		if strings.HasPrefix(words[1], filepath.Dir(n.cfg.StateDir)) && !nodesOwn {
			n.Errorf("still mounted: %s", line)
		}
	}
	for _, pattern := range []string{
		"/sys/fs/cgroup/*" + n.cfg.CgroupParent + "/*/*",
		"/sys/fs/cgroup" + n.cfg.CgroupParent + "/*/*",
		n.cfg.RunDir + "/etc/*",
		n.cfg.RunDir + "/net/containers/*",
		n.cfg.RunDir + "/vol/*",
	} {
		found, err := filepath.Glob(pattern)
		n.ok(err)
		for _, path := range found {
			// crun 1.8 makes folders where cgroup2 would be mounted beside version 1.
			if info, err := os.Stat(path); err == nil && info.IsDir() && !strings.Contains(path, "/unified/") {
				n.Errorf("left over: %s", path)
			}
		}
	}
}
