package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// openDockerd returns the yardstick with the image in it, or nil if there is none here.
func (s *stage) openDockerd(ctx context.Context, work, folder string) (*engine, error) {
	host := os.Getenv("DOCKERD_HOST")
	given := host != ""
	if !given {
		program, err := exec.LookPath("dockerd")
		if err != nil {
			return nil, nil
		}
		if host, err = s.startDockerd(ctx, program, filepath.Join(work, "dockerd")); err != nil {
			return nil, err
		}
	}
	e, err := newEngine(theirs, []string{"DOCKER_HOST=" + host})
	if err != nil {
		return nil, err
	}
	pid, err := listenerOf(host)
	if err != nil {
		return nil, err
	}
	e.processes = func() ([]process, error) { return processesBeside(pid) }
	if err := e.importImage(ctx, folder); err != nil {
		return nil, err
	}
	if given {
		s.closers = append(s.closers, func() error { return e.removeImage(context.Background(), e.image) })
	}
	s.closers = append(s.closers, func() error { return e.sweep(context.Background()) })
	return e, nil
}

// startDockerd runs a dockerd in namespaces of its own: its bridge, firewall rules and mounts
// are nowhere else, and end with it.
func (s *stage) startDockerd(ctx context.Context, program, dir string) (host string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	host = "unix://" + filepath.Join(dir, "docker.sock")
	group := fmt.Sprintf("/spearhead-bench-%d", os.Getpid())
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	daemon := exec.Command(program, "--config-file", filepath.Join(dir, "none.json"), "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"), "--host", host, "--cgroup-parent", group)
	daemon.Stdout, daemon.Stderr = log, log
	daemon.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if err := os.WriteFile(filepath.Join(dir, "none.json"), []byte("{}"), 0o600); err != nil {
		return "", err
	}
	if err := daemon.Start(); err != nil {
		return "", fmt.Errorf("cannot start dockerd: %w", err)
	}
	s.closers = append(s.closers, func() error { return errors.Join(endDaemon(daemon), removeCgroups(group)) })
	e, err := newEngine(theirs, []string{"DOCKER_HOST=" + host})
	if err != nil {
		return "", err
	}
	if err := bed.Poll(ctx, 30*time.Second, func() error { return e.do(ctx, "GET", "/_ping", nil, nil) }); err != nil {
		said, _ := os.ReadFile(log.Name())
		return "", fmt.Errorf("dockerd does not answer: %w\n%s", err, said)
	}
	return host, nil
}

// endDaemon asks a daemon to end, and insists after a while.
func endDaemon(daemon *exec.Cmd) error {
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	insist := time.AfterFunc(30*time.Second, func() { _ = daemon.Process.Kill() })
	defer insist.Stop()
	return daemon.Wait()
}

// removeCgroups removes what dockerd leaves of its cgroups, in all hierarchies:
// its own, and the one in it that its BuildKit makes.
func removeCgroups(group string) error {
	var failed []error
	for _, pattern := range []string{"/sys/fs/cgroup" + group + "/*/", "/sys/fs/cgroup/*" + group + "/*/", "/sys/fs/cgroup" + group, "/sys/fs/cgroup/*" + group} {
		folders, err := filepath.Glob(pattern)
		failed = append(failed, err)
		for _, folder := range folders {
			failed = append(failed, os.Remove(folder))
		}
	}
	return errors.Join(failed...)
}

// listenerOf is the process that listens on unix://SOCKET.
func listenerOf(host string) (pid int, err error) {
	path, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return 0, fmt.Errorf("DOCKERD_HOST is %s: name a daemon of this machine, as unix://SOCKET", host)
	}
	connection, err := net.Dial("unix", path)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	raw, err := connection.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		peer, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if asked != nil {
		return 0, asked
	}
	return int(peer.Pid), nil
}
