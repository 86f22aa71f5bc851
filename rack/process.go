package rack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// process is a process of this machine as /proc shows it.
type process struct {
	pid    int
	state  byte // as in proc(5): R, S, D, T, …
	args   []string
	mounts string // its mount namespace, "mnt:[123]"
	cgroup string // contents of /proc/PID/cgroup
}

// processes lists all processes but zombies and kernel threads.
func processes() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := readProcess(pid); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// readProcess reads one process; false if it has ended.
func readProcess(pid int) (process, bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return process{}, false
	}
	// the command's name may hold anything, so what follows is found from the end
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	mounts, err := os.Readlink(filepath.Join(dir, "ns", "mnt"))
	if err != nil || len(rest) < 2 || rest[1] == 'Z' || rest[1] == 'X' {
		return process{}, false
	}
	p := process{pid: pid, state: rest[1], mounts: mounts}
	if cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil {
		p.args = strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	}
	if cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup")); err == nil {
		p.cgroup = string(cgroup)
	}
	return p, true
}

// pinnedInode names the namespace pinned to path as processes show theirs.
func pinnedInode(path string) string {
	var st unix.Stat_t
	if !namespace.IsPinned(path) || unix.Stat(path, &st) != nil {
		return ""
	}
	return fmt.Sprintf("mnt:[%d]", st.Ino)
}

// isDaemon reports whether p is the daemon of h. Its command line names the
// host's configuration file, and no other program is called like that.
func (r *Rack) isDaemon(p process, h host) bool {
	return len(p.args) > 2 && p.args[1] == string(h.daemon()) && p.args[2] == "run" && slices.Contains(p.args, r.config(h))
}

// belongs reports whether p is any process of the rack: in the mount
// namespace of a host, in a container, or, where the pins are lost, one of
// the daemons or their helpers by its command line.
func (r *Rack) belongs(p process, namespaces []string) bool {
	if slices.Contains(namespaces, p.mounts) {
		return true
	}
	if inContainerBelow(p, r.cgroup()) {
		return true
	}
	for _, h := range r.hosts() {
		if r.isDaemon(p, h) {
			return true
		}
		if len(p.args) > 1 && (p.args[1] == "iod" || p.args[1] == "names") && slices.ContainsFunc(p.args, func(a string) bool { return strings.HasPrefix(a, r.hostRun(h)+"/") }) {
			return true
		}
	}
	return false
}

// inContainerBelow reports whether p is in a container below a cgroup.
func inContainerBelow(p process, cgroup string) bool {
	for line := range strings.Lines(p.cgroup) {
		if path, ok := cutCgroup(line); ok && within(path, cgroup) {
			return true
		}
	}
	return false
}

// cutCgroup takes the path out of a line of /proc/PID/cgroup ("4:memory:/path").
func cutCgroup(line string) (path string, ok bool) {
	parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
	if len(parts) != 3 {
		return "", false
	}
	return parts[2], true
}

// namespaces are the mount namespaces of the rack's hosts.
func (r *Rack) namespaces() []string {
	var list []string
	for _, h := range r.hosts() {
		if ns := pinnedInode(r.mountPin(h)); ns != "" {
			list = append(list, ns)
		}
	}
	return list
}

// daemonOf finds the daemon of a host.
func (r *Rack) daemonOf(h host) (process, bool, error) {
	all, err := processes()
	if err != nil {
		return process{}, false, err
	}
	for _, p := range all {
		if r.isDaemon(p, h) {
			return p, true, nil
		}
	}
	return process{}, false, nil
}

// signal sends a signal to p if it is still what still says, and not another
// process that was given its number.
func signal(p process, sig unix.Signal, still func(process) bool) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot open process %d: %w", p.pid, err)
	}
	defer unix.Close(fd)
	if now, ok := readProcess(p.pid); !ok || !still(now) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot signal process %d: %w", p.pid, err)
	}
	return nil
}

// killAll ends every process of the rack, also those that are started
// meanwhile, and returns when none is left.
func (r *Rack) killAll(ctx context.Context) error {
	namespaces := r.namespaces()
	return killProcesses(ctx, func(p process) bool { return p.pid != os.Getpid() && r.belongs(p, namespaces) })
}

// killProcesses sends SIGKILL to all processes of which is holds, until there
// are none.
func killProcesses(ctx context.Context, is func(process) bool) error {
	return poll(ctx, 2*time.Millisecond, func() (bool, error) {
		all, err := processes()
		if err != nil {
			return true, err
		}
		all = slices.DeleteFunc(all, func(p process) bool { return !is(p) })
		for _, p := range all {
			if err := signal(p, unix.SIGKILL, is); err != nil {
				return true, err
			}
		}
		return len(all) == 0, nil
	})
}

// start runs a program in a host, detached from this process. It gets no
// standard input; its output goes to the end of the host's log.
func (r *Rack) start(h host, argv []string) error {
	if err := os.MkdirAll(filepath.Dir(r.logFile(h)), 0o700); err != nil {
		return fmt.Errorf("cannot make the folder of logs: %w", err)
	}
	log, err := os.OpenFile(r.logFile(h), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the log of %s: %w", h.name, err)
	}
	defer log.Close()
	p, err := r.spawn(h, argv, log)
	if err != nil {
		return err
	}
	return p.Release()
}

// spawn starts a program in a host's namespaces. A child has the namespaces
// of the thread that makes it.
func (r *Rack) spawn(h host, argv []string, out *os.File) (p *os.Process, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", h.name, err)
	}
	defer null.Close()
	err = r.inside(h, func() (err error) {
		p, err = os.StartProcess(argv[0], argv, &os.ProcAttr{
			Dir: "/", Env: os.Environ(), Files: []*os.File{null, out, out}, Sys: &syscall.SysProcAttr{Setsid: true},
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start %s on %s: %w", filepath.Base(argv[0]), h.name, err)
	}
	return p, nil
}

// inside runs f on its own thread in the namespaces of a host.
func (r *Rack) inside(h host, f func() error) error {
	mounts, err := os.Open(r.mountPin(h))
	if err != nil {
		return fmt.Errorf("cannot open mount namespace: %w", err)
	}
	defer mounts.Close()
	network, err := os.Open(r.netPin(h))
	if err != nil {
		return fmt.Errorf("cannot open network namespace: %w", err)
	}
	defer network.Close()
	return namespace.Enter(network, func() error {
		// a thread that shares its idea of the root with others may not change it
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("cannot leave the process's root: %w", err)
		}
		if err := unix.Setns(int(mounts.Fd()), unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("cannot enter mount namespace: %w", err)
		}
		return f()
	})
}

// run runs a program in a host until it ends, and returns what it said if it
// failed.
func (r *Rack) run(ctx context.Context, h host, argv ...string) error {
	out, err := os.CreateTemp("", "spearhead-rack-")
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", argv[0], err)
	}
	defer out.Close()
	os.Remove(out.Name())
	p, err := r.spawn(h, argv, out)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.Kill() })
	defer stop()
	state, err := p.Wait()
	if err != nil {
		return fmt.Errorf("cannot wait for %s: %w", argv[0], err)
	}
	if !state.Success() {
		said := make([]byte, 4096)
		n, _ := out.ReadAt(said, 0)
		return fmt.Errorf("cannot run %s on %s (%s): %s", strings.Join(argv[1:], " "), h.name, state, bytes.TrimSpace(said[:n]))
	}
	return nil
}

// poll calls done at once and then every interval until it says true, fails,
// or ctx ends.
func poll(ctx context.Context, interval time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
