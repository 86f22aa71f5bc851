package fusepool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

// places are where zfs-fuse keeps socket, lock and cache of imported pools. All
// three are the daemon's own: with a shared cache one daemon would import the
// pools of another.
var places = []string{"/run/zfs", "/run/lock/zfs", "/var/lib/zfs"}

// shareMounts makes dir a mount whose mounts appear in every namespace that is
// copied from this one from now on, and those of a copy here.
func shareMounts(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot share mounts: %w", err)
	}
	for _, flag := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} { // a peer group of its own
		if err := unix.Mount("", dir, "", flag, ""); err != nil {
			return fmt.Errorf("cannot share mounts: %w", errors.Join(err, detachAll(dir)))
		}
	}
	return nil
}

// launch starts the daemon in a mount namespace of its own. A namespace belongs
// to a thread; the thread that makes it ends with its goroutine, and the daemon
// keeps the namespace.
func (d *Daemon) launch() error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread must not be used again
		done <- d.launchHere()
	}()
	return <-done
}

func (d *Daemon) launchHere() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("cannot make mount namespace: %w", err)
	}
	if err := d.isolate(); err != nil {
		return err
	}
	if err := hidePlaces(); err != nil {
		return err
	}
	pidFile := d.path("pid")
	log, err := os.OpenFile(d.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open log of zfs-fuse: %w", err)
	}
	defer log.Close()
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove old pid file: %w", err)
	}
	env, err := d.environment()
	if err != nil {
		return err
	}
	// It goes to the background by itself: it must outlive this process.
	cmd := exec.Command("zfs-fuse", "--pidfile", pidFile, "--enable-xattr", "--no-kstat-mount", "--max-arc-size", "64")
	cmd.Dir = "/"
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot start zfs-fuse: %w", err)
	}
	return d.remember(pidFile)
}

// isolate cuts this thread's new namespace off from all others, but for the
// directory of this pool's mounts, and lets go of other pools: a namespace that
// holds a copy of a dataset's mount keeps that dataset busy. Another pool may
// mount something while this is done, which then comes here too: it is looked
// again until nothing has.
func (d *Daemon) isolate() error {
	known, came := map[int]bool{}, true
	for came {
		mounts, err := d.foreignMounts()
		if err != nil {
			return err
		}
		if came, err = letGo(mounts); err != nil {
			return err
		}
		for _, m := range mounts {
			came = came || !known[m.ID]
			known[m.ID] = true
		}
	}
	return nil
}

// foreignMounts lists what is mounted in this thread's namespace beside this
// pool's directory, the outer ones first.
func (d *Daemon) foreignMounts() ([]*mountinfo.Info, error) {
	file, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot look at mounts: %w", err)
	}
	defer file.Close()
	mounts, err := mountinfo.GetMountsFromReader(file, func(m *mountinfo.Info) (skip, stop bool) {
		return m.Mountpoint == d.path(mountsDir), false
	})
	if err != nil {
		return nil, fmt.Errorf("cannot look at mounts: %w", err)
	}
	return mounts, nil
}

// letGo has mounts tell nothing to other namespaces and hear nothing of them,
// and unmounts those of pools; it reports whether there were any.
func letGo(mounts []*mountinfo.Info) (unmounted bool, err error) {
	for _, m := range mounts {
		// A mount under another one cannot be reached, and cannot get in the
		// way either.
		err := unix.Mount("", m.Mountpoint, "", unix.MS_PRIVATE, "")
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTCONN) {
			return false, fmt.Errorf("cannot make mount private: %w", err)
		}
	}
	for _, m := range slices.Backward(mounts) {
		if m.FSType == "fuse.zfs" && unix.Unmount(m.Mountpoint, unix.MNT_DETACH) == nil { // a dead one may be gone by now
			unmounted = true
		}
	}
	return unmounted, nil
}

// hidePlaces puts an empty file system over each place.
func hidePlaces() error {
	for _, place := range places {
		if err := os.MkdirAll(place, 0o755); err != nil {
			return fmt.Errorf("cannot make %s: %w", place, err)
		}
		if err := unix.Mount("tmpfs", place, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700,size=16m"); err != nil {
			return fmt.Errorf("cannot hide %s: %w", place, err)
		}
	}
	return nil
}

// remember records the daemon so that a later Start finds it.
func (d *Daemon) remember(pidFile string) error {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return fmt.Errorf("cannot read pid of zfs-fuse: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("cannot read pid of zfs-fuse: %w", err)
	}
	start, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("cannot find zfs-fuse: %w", err)
	}
	d.proc = process{Pid: pid, Start: start}
	return atomicfile.WriteJSON(d.path(stateFile), d.proc, 0o600)
}

// startTime reads field 22 of /proc/PID/stat (proc(5)).
func startTime(pid int) (uint64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	// The second field is a name that may hold anything, in brackets.
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("cannot read state of process %d", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func (p process) running() bool {
	if p.Pid == 0 {
		return false
	}
	start, err := startTime(p.Pid)
	return err == nil && start == p.Start
}

// end ends the process, by force if it does not go, and waits for its end.
func (p process) end(ctx context.Context) error {
	if !p.running() {
		return nil
	}
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot watch zfs-fuse: %w", err)
	}
	defer unix.Close(fd)
	if !p.running() { // the descriptor may be that of a later process
		return nil
	}
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot end zfs-fuse: %w", err)
		}
		if ended, err := waitEnd(ctx, fd, endWait); ended || err != nil {
			return err
		}
	}
	return errors.New("cannot end zfs-fuse: it hangs in the kernel")
}

const endWait = 10 * time.Second

// waitEnd waits until a pidfd says that its process has ended.
func waitEnd(ctx context.Context, fd int, limit time.Duration) (bool, error) {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("cannot wait for zfs-fuse: %w", err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}
