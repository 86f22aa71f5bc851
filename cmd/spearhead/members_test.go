package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/internal/testaddr"
)

// dataCenter is a head that runs in this process.
type dataCenter struct {
	t      *testing.T
	dir    string
	config headnode.Config
}

func startHead(t *testing.T) *dataCenter {
	t.Helper()
	d := &dataCenter{t: t, dir: t.TempDir()}
	d.config = headnode.Config{
		Name: "head-1", DataCenter: "test", StateDir: filepath.Join(d.dir, "head"), Socket: filepath.Join(d.dir, "s"),
		DockerListen: testaddr.Free(t), RaftListen: testaddr.Free(t), PeerListen: testaddr.Free(t), GossipListen: testaddr.Free(t),
		Advertise: []string{"127.0.0.1"}, Logger: slog.New(slog.DiscardHandler),
	}
	if err := headnode.Init(t.Context(), d.config); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- headnode.Run(ctx, d.config) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the head ended with %v", err)
		}
	})
	client := adminapi.NewClient(d.config.Socket)
	defer client.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if settled(t.Context(), client) {
			return d
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the head does not lead")
		}
	}
}

// settled reports whether a head leads, has made the first packages and is known
// by its name.
func settled(ctx context.Context, client *adminapi.Client) bool {
	packages, err := client.Packages(ctx)
	if err != nil || len(packages) < 11 {
		return false
	}
	heads, err := client.Heads(ctx)
	return err == nil && len(heads) == 1 && heads[0].Name != "" && heads[0].Role == "leader"
}

// ok calls an operator's command and returns what it prints.
func (d *dataCenter) ok(args ...string) string {
	d.t.Helper()
	stdout, stderr, code := call(d.t, append(args, "--socket", d.config.Socket)...)
	if code != 0 {
		d.t.Fatalf("%s: code %d, %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// refused calls an operator's command that is to fail with a text.
func (d *dataCenter) refused(want string, args ...string) {
	d.t.Helper()
	_, stderr, code := call(d.t, append(args, "--socket", d.config.Socket)...)
	if code == 0 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
		d.t.Errorf("%s: code %d, %q; want one line with %q", strings.Join(args, " "), code, stderr, want)
	}
}

// machine writes an agent's configuration and returns its path and where the
// identity will be.
func (d *dataCenter) machine(name string) (config, identity string) {
	d.t.Helper()
	folder := filepath.Join(d.dir, name)
	text := fmt.Sprintf("name = %q\nstate_dir = %q\nrun_dir = %q\nwire_listen = %q\n", name, folder, folder+"-run", ":7947")
	config = folder + ".toml"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return config, filepath.Join(folder, "pki")
}

func TestAnOperatorSeesToTheLifeOfANode(t *testing.T) {
	d := startHead(t)
	config, identity := d.machine("node-1")
	token := strings.TrimSpace(d.ok("token", "create", "--role", "node", "--approve"))
	if _, stderr, code := call(t, "agent", "run", "--config", config); code != 1 || !strings.Contains(stderr, "agent join HEAD") {
		t.Errorf("an agent that has not joined: code %d, %s", code, stderr)
	}
	stdout, stderr, code := call(t, "agent", "join", d.config.DockerListen, "--token", token, "--config", config)
	if code != 0 || !strings.Contains(stdout, "is the node node-1 of the data center test") || !strings.Contains(stdout, "127.0.0.1:7947") {
		t.Fatalf("join: code %d, %s%s", code, stdout, stderr)
	}
	for _, file := range []string{"ca.pem", "cert.pem", "key.pem", "gossip.json"} {
		if info, err := os.Stat(filepath.Join(identity, file)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if _, err := os.Stat(filepath.Join(identity, "joining-key.pem")); err == nil || !os.IsNotExist(err) {
		t.Errorf("the key of the join is left: %v", err)
	}
	_, stderr, code = call(t, "agent", "join", d.config.DockerListen, "--token", token, "--config", config)
	if code != 1 || !strings.Contains(stderr, "--force") {
		t.Errorf("joined twice: code %d, %s", code, stderr)
	}
	if got := d.ok("token", "ls"); !strings.Contains(got, "used by") || strings.Contains(got, token) {
		t.Errorf("tokens: %s", got)
	}

	d.ok("node", "set", "node-1", "--rack", "r7", "--zone", "z", "--traits", "ssd,gpu", "--overcommit-cpu", "2", "--max-containers", "9")
	d.ok("node", "set", "node-1", "--overcommit-memory", "1.5")
	d.ok("node", "label", "node-1", "a=b", "c=d")
	d.ok("node", "label", "node-1", "a-")
	d.ok("node", "cordon", "node-1")
	for _, want := range []string{"unreachable, cordoned", "r7", "c=d", "ssd gpu", "127.0.0.1:7947"} {
		if got := d.ok("node", "show", "node-1"); !strings.Contains(got, want) || strings.Contains(got, "a=b") {
			t.Errorf("node show lacks %q: %s", want, got)
		}
	}
	d.ok("node", "uncordon", "node-1")
	if got := d.ok("node", "drain", "node-1"); !strings.Contains(got, "node-1 is empty") {
		t.Errorf("drain: %s", got)
	}
	if got := d.ok("node", "lost", "node-1"); !strings.Contains(got, "counts as lost") {
		t.Errorf("lost: %s", got)
	}
	if got := d.ok("node", "ls"); !strings.Contains(got, "unreachable, lost") {
		t.Errorf("node ls: %s", got)
	}
	d.ok("node", "remove", "node-1")
	d.refused("there is no node node-1", "node", "show", "node-1")
	d.refused("say what is to change", "node", "set", "node-1")
	d.refused("neither NAME=VALUE nor NAME-", "node", "label", "node-1", "x")
	d.refused("--timeout is for --stop", "node", "drain", "node-1", "--timeout", "3")
	d.refused("it is head or node", "token", "create", "--role", "king")
	d.refused("heads need no approval", "token", "create", "--role", "head", "--approve")
	d.refused("from a minute to 30 days", "token", "create", "--role", "node", "--ttl", "1s")
	d.refused("there is no token x", "token", "rm", "x")
}

func TestTokensAreReadFromFilesToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"@" + path:             "this is no join token",
		"@/nonexistent":        "cannot read the token",
		"spearhead-node-a-b-c": "incomplete or misspelt",
	} {
		_, stderr, code := call(t, "agent", "join", "127.0.0.1", "--token", given, "--config", "/nonexistent")
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: code %d, %s", given, code, stderr)
		}
	}
}

func TestOperatorsKeepTheHeads(t *testing.T) {
	d := startHead(t)
	if got := d.ok("head", "ls"); !strings.Contains(got, "leader") || !strings.Contains(got, "head-1") {
		t.Errorf("head ls: %s", got)
	}
	path := filepath.Join(d.dir, "backup.tar")
	d.ok("head", "backup", path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) || info.Size() == 0 {
		t.Errorf("the backup is %v, %v", info, err)
	}
	d.ok("account", "create", "jill")
	d.refused("--yes", "head", "restore", path)
	d.ok("head", "restore", "--yes", path)
	if got := d.ok("account", "ls"); strings.Contains(got, "jill") {
		t.Errorf("after the restore: %s", got)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.refused("this is no backup", "head", "restore", "--yes", path)
	d.refused("this is the only head", "head", "remove", "head-1")
	d.refused("there is no head nobody", "head", "remove", "nobody")

	toml := filepath.Join(d.dir, "head.toml")
	text := fmt.Sprintf("state_dir = %q\nsocket = %q\nadvertise = [\"127.0.0.1\"]\n", d.config.StateDir, d.config.Socket)
	if err := os.WriteFile(toml, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"head recover --config " + toml:                              "--yes",
		"head recover --yes --config " + toml:                        "stop it first",
		"head init --config " + toml:                                 "holds one already",
		"head init --from /nonexistent --config " + toml:             "there is no backup",
		"head join 127.0.0.1 --token @/nonexistent --config " + toml: "cannot read the token",
	} {
		if _, stderr, code := call(t, strings.Fields(args)...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: code %d, %s; want %q", args, code, stderr, want)
		}
	}
}

func TestCapacityIsToldBySize(t *testing.T) {
	d := startHead(t)
	if got := d.ok("capacity"); !strings.Contains(got, "g1-256m") || !strings.Contains(got, "0 of 0") {
		t.Errorf("capacity: %s", got)
	}
	if got := d.ok("capacity", "-m", "4g", "--cpus", "1.5"); !strings.Contains(got, "4GiB") || !strings.Contains(got, "1.5") {
		t.Errorf("capacity of a size: %s", got)
	}
	d.refused("there is no package x", "capacity", "--package", "x")
	d.refused("exclude each other", "capacity", "--package", "x", "-m", "1g")
	d.refused("is not a size", "capacity", "-m", "lots")
}
