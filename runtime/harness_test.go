package runtime_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// testRuntime is the environment variable that names the OCI runtime of the
// tests; without it they use what a node uses by itself.
const testRuntime = "RUNTIME_TEST_OCI"

// A node is an opened runtime with an image to run.
type node struct {
	testing.TB
	*runtime.Runtime
	ctx    context.Context
	cfg    runtime.Config
	rootfs string

	cancel context.CancelFunc // of the stream of exits
	mu     sync.Mutex
	exits  map[string]chan runtime.Exit // by container
}

func newNode(t testing.TB) *node {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: containers are made")
	}
	oci := os.Getenv(testRuntime)
	for _, tool := range []string{cmp.Or(oci, "crun"), "busybox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: install it", tool)
		}
	}
	run, err := os.MkdirTemp("/tmp", "rt")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{TB: t, ctx: context.Background(), exits: map[string]chan runtime.Exit{}}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n.cfg = runtime.Config{
		StateDir: filepath.Join(run, "state"), RunDir: filepath.Join(run, "run"), CgroupParent: "/" + filepath.Base(run),
		IodCommand: []string{self, "iod"}, Runtime: oci,
	}
	if testing.Verbose() {
		n.cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	n.rootfs = makeRootfs(t, filepath.Join(run, "root"))
	t.Cleanup(func() {
		n.stopIod()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(n.cfg.StateDir, "iod.log"))
			t.Logf("supervisor's log:\n%s", log)
		}
		removeGroups(n.cfg.CgroupParent)
		os.RemoveAll(run)
	})
	n.open()
	return n
}

func makeRootfs(t testing.TB, root string) string {
	t.Helper()
	for _, dir := range []string{"bin", "etc", "proc", "sys", "dev", "tmp", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", busybox, filepath.Join(root, "bin/busybox")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range strings.Fields("sh true sleep cat echo ls dd yes id pwd env stty kill grep head seq date mkdir usleep printf wc ps hostname ping") {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0:root:/root:/bin/sh\nada:x:1001:1002:Ada:/home/ada:/bin/sh\n77:x:0:0:trap:/:/bin/sh\n"), 0o644)
	os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\nada:x:1002:\nwheel:x:10:ada\n"), 0o644)
	return root
}

func (n *node) open() {
	n.Helper()
	n.Runtime = runtime.New(n.cfg)
	if err := n.Open(n.ctx); err != nil {
		n.Fatal(err)
	}
	ctx, cancel := context.WithCancel(n.ctx)
	exits, err := n.Exits(ctx)
	if err != nil {
		n.Fatal(err)
	}
	n.cancel = cancel
	go func() {
		for e := range exits {
			n.exitOf(e.ID) <- e
		}
	}()
}

func (n *node) exitOf(id string) chan runtime.Exit {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.exits[id] == nil {
		n.exits[id] = make(chan runtime.Exit, 1000)
	}
	return n.exits[id]
}

func (n *node) iodPid() int {
	n.Helper()
	out, _ := exec.Command("sh", "-c", "cat /proc/locks").Output()
	st, err := os.Stat(filepath.Join(n.cfg.RunDir, "iod.lock"))
	if err != nil {
		return 0
	}
	inode := fmt.Sprintf(":%d ", st.Sys().(*syscall.Stat_t).Ino)
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if strings.Contains(line, inode) && len(f) > 4 && f[1] == "FLOCK" {
			var pid int
			fmt.Sscan(f[4], &pid)
			return pid
		}
	}
	return 0
}

// stopIod ends the supervisor for good, and all that it supervises.
func (n *node) stopIod() {
	if n.Runtime == nil {
		return
	}
	list, err := n.Running(n.ctx)
	if err == nil {
		for _, p := range list {
			n.Signal(n.ctx, p.ID, unix.SIGKILL)
			n.waitExit(p.ID)
			n.Clean(n.ctx, p.ID)
		}
	}
	n.cancel()
	n.Close()
	if pid := n.iodPid(); pid > 0 {
		unix.Kill(pid, unix.SIGTERM)
		n.eventually("the supervisor to end", func() bool { return n.iodPid() == 0 })
	}
}

func removeGroups(parent string) {
	for range 3 {
		exec.Command("sh", "-c", "find /sys/fs/cgroup -depth -type d -path '*"+parent+"*' -exec rmdir {} + 2>/dev/null").Run()
	}
}

func (n *node) eventually(what string, ok func() bool) {
	n.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			n.Fatalf("gave up waiting for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (n *node) waitExit(id string) runtime.Exit {
	n.Helper()
	select {
	case e := <-n.exitOf(id):
		if err := n.AckExit(n.ctx, e.ID, e.Run); err != nil {
			n.Error(err)
		}
		return e
	case <-time.After(30 * time.Second):
		n.Fatalf("no exit of %s was told", id)
		return runtime.Exit{}
	}
}

func sh(script string) *model.ContainerSpec {
	return &model.ContainerSpec{Entrypoint: []string{"/bin/sh", "-c", script}, Hostname: "box"}
}

// create registers a container.
func (n *node) create(spec *model.ContainerSpec) string {
	n.Helper()
	id := model.NewID()
	if err := n.Register(n.ctx, id, spec); err != nil {
		n.Fatal(err)
	}
	return id
}

func (n *node) startErr(id string, spec *model.ContainerSpec) (runtime.Process, error) {
	return n.Start(n.ctx, runtime.StartRequest{ID: id, AccountID: "acct", Run: model.NewID()[:16], Spec: spec, Rootfs: n.rootfs})
}

func (n *node) start(id string, spec *model.ContainerSpec) runtime.Process {
	n.Helper()
	p, err := n.startErr(id, spec)
	if err != nil {
		n.Fatalf("start: %v", err)
	}
	return p
}

// run runs a container to its end and returns what it wrote.
func (n *node) run(spec *model.ContainerSpec) (e runtime.Exit, stdout, stderr string) {
	n.Helper()
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdout: true, Stderr: true, Stream: true})
	n.start(id, spec)
	out, errOut := n.read(s, spec.Tty)
	e = n.waitExit(id)
	n.remove(id)
	return e, out, errOut
}

func (n *node) remove(id string) {
	n.Helper()
	if err := n.Clean(n.ctx, id); err != nil {
		n.Error(err)
	}
	if err := n.Unregister(n.ctx, id); err != nil {
		n.Error(err)
	}
}

func (n *node) attach(id string, o runtime.AttachOptions) runtime.Stream {
	n.Helper()
	s, err := n.Attach(n.ctx, id, o)
	if err != nil {
		n.Fatal(err)
	}
	return s
}

// read reads a stream to its end.
func (n *node) read(r io.Reader, tty bool) (stdout, stderr string) {
	n.Helper()
	var out, errOut bytes.Buffer
	var err error
	if tty {
		_, err = io.Copy(&out, r)
	} else {
		_, err = stdcopy.StdCopy(&out, &errOut, r)
	}
	if err != nil {
		n.Errorf("stream: %v", err)
	}
	return out.String(), errOut.String()
}

func (n *node) logs(id string, o runtime.LogOptions) (stdout, stderr string) {
	n.Helper()
	r, err := n.Logs(n.ctx, id, o)
	if err != nil {
		n.Fatal(err)
	}
	defer r.Close()
	return n.read(r, false)
}
