package build

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network"
	"github.com/spearheadcloud/spearhead/network/resolver"
	"github.com/spearheadcloud/spearhead/wire"
)

// cleanLimit is how long what a builder leaves may take to remove.
const cleanLimit = 30 * time.Second

// builder is one account's builder. It has a goroutine of its own from its
// making to its end. Builders.mu guards streams and ending.
type builder struct {
	of      *Builders
	account string
	door    *door
	idle    *time.Timer

	streams int
	ending  bool
	kill    chan struct{} // closed to end it

	started chan struct{} // closed when err is known
	err     error
	gone    chan struct{} // closed when nothing of it is left
}

// newBuilder starts a builder. The caller holds b.mu.
func newBuilder(b *Builders, program string, r wire.BuilderRequest) *builder {
	one := &builder{
		of: b, account: r.Account.ID, door: newDoor(b.cfg),
		kill: make(chan struct{}), started: make(chan struct{}), gone: make(chan struct{}),
	}
	one.idle = time.AfterFunc(b.cfg.Idle, func() { b.idled(one) })
	one.idle.Stop()
	b.ended.Go(func() { one.run(program, r) })
	return one
}

// end begins the end of the builder. The caller holds Builders.mu.
func (one *builder) end() {
	if !one.ending {
		one.ending = true
		close(one.kill)
	}
}

// run is a builder's life.
func (one *builder) run(program string, r wire.BuilderRequest) {
	b := one.of
	defer close(one.gone)
	defer b.forget(one)
	var made revert.Stack
	defer made.Revert()
	process, err := one.start(program, r, &made)
	one.err = err
	close(one.started)
	if err != nil {
		b.cfg.Logger.Error("cannot start a builder", "op", "build", "account", one.account, "err", err)
		return
	}
	select {
	case <-one.kill:
	case <-process.ended:
		b.cfg.Logger.Error("a builder has ended by itself", "op", "build", "account", one.account, "err", process.err, "output", process.output.String())
	}
	b.mu.Lock()
	one.end()
	b.mu.Unlock()
	one.idle.Stop()
	process.end()
	if err := b.settleCache(one.account); err != nil {
		b.cfg.Logger.Warn("a builder's cache is not on the disk for certain; a crash of the machine would cost it", "op", "build", "account", one.account, "err", err)
	}
}

// start makes all that a builder stands on, and the builder.
func (one *builder) start(program string, r wire.BuilderRequest, made *revert.Stack) (*process, error) {
	b := one.of
	ctx, cancel := context.WithTimeout(context.Background(), cleanLimit)
	defer cancel()
	run, cache := b.runDir(one.account), b.cacheDir(one.account)
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the builder's folder: %w", err)
	}
	if err := b.openCache(one.account); err != nil {
		return nil, err
	}
	made.Add(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanLimit)
		defer cancel()
		if err := b.clean(ctx, one.account); err != nil {
			b.cfg.Logger.Error("cannot remove what a builder left", "op", "build", "account", one.account, "err", err)
		}
	})
	group := b.group(one.account)
	if err := group.make(&r.Limits); err != nil {
		return nil, err
	}
	netns, err := b.cfg.Network.Attach(ctx, network.Attachment{
		Container: model.BuilderSandbox(one.account), Account: one.account, NICs: r.NICs, Networks: r.Networks, Resolver: true,
	})
	if err != nil {
		return nil, err
	}
	resolvConf := filepath.Join(run, "resolv.conf")
	if err := os.WriteFile(resolvConf, []byte(askHere()), 0o644); err != nil {
		return nil, fmt.Errorf("cannot write the builder's resolv.conf: %w", err)
	}
	if err := one.door.open(filepath.Join(run, "node.sock")); err != nil {
		return nil, err
	}
	made.Add(one.door.close)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: one.socket(), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot make the builder's socket: %w", err)
	}
	defer listener.Close()
	listener.SetUnlinkOnClose(false)
	args := []string{
		"-root", cache, "-run", run, "-cgroup", group.steps(), "-resolv-conf", resolvConf, "-nameserver", resolver.Address.String(), "-netns", netns,
	}
	for _, dir := range b.cfg.Mounts {
		args = append(args, "-hide", dir)
	}
	return startProcess(listener, group, program, args...)
}

// cutShortFile is what a builder leaves in its folder when a client went away
// in the middle of a build; tools/buildkit has the same.
const cutShortFile = "cut-short"

// cutShort reports whether a build was: the builder cannot let go of all that
// belonged to it, so it is not used any more once nobody uses it.
func (one *builder) cutShort() bool {
	_, err := os.Stat(filepath.Join(one.of.runDir(one.account), cutShortFile))
	return err == nil
}

func (one *builder) socket() string { return filepath.Join(one.of.runDir(one.account), "api.sock") }

// askHere returns a resolv.conf(5) that leads to the resolver in the builder's
// namespace, as containers have one: it knows the account's containers by name,
// and whom to ask for the rest.
func askHere() string { return "nameserver " + resolver.Address.String() + "\n" }

// process is the builder's first process, and with it all that it starts: it
// is the first of its own process namespace too.
type process struct {
	kill   func() error
	output *tail
	ended  chan struct{}
	err    error // once it has ended
}

// startProcess starts program with the listener, as descriptor 3, in a group.
func startProcess(listener *net.UnixListener, in group, program string, args ...string) (*process, error) {
	socket, err := listener.File()
	if err != nil {
		return nil, fmt.Errorf("cannot hand over the builder's socket: %w", err)
	}
	defer socket.Close()
	p := &process{output: &tail{}, ended: make(chan struct{})}
	cmd := exec.Command(program, args...)
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL, Setsid: true,
	}
	started := make(chan error)
	go func() {
		defer close(p.ended)
		// The signal of the parent's death comes when this thread ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start the builder: %w", err)
	}
	p.kill = cmd.Process.Kill
	if err := in.add(cmd.Process.Pid); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// end kills the process and returns when all of its namespace have ended.
func (p *process) end() {
	if err := p.kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return // it cannot fail otherwise: the process is our child
	}
	<-p.ended
}

// tail keeps the end of what a builder says, for the log.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailLength = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailLength; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
