package namespace

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnOwnThread runs f on a thread that no other goroutine will ever use, so f
// may change what a thread has: its namespaces. The thread ends with f.
//
// The process's first thread cannot end and stands for the process in /proc,
// so when f would land there that thread waits for another one instead.
func OnOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the runtime then ends the thread
		if unix.Gettid() == unix.Getpid() {
			done <- OnOwnThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f()
	}()
	return <-done
}

// Enter runs f on its own thread in the network namespace ns. Sockets opened
// there stay in that namespace, whoever uses them later.
func Enter(ns *os.File, f func() error) error {
	return OnOwnThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot enter network namespace: %w", err)
		}
		return f()
	})
}

// IsPinned reports whether a namespace is mounted on path: a file left by a
// former boot is only a file.
func IsPinned(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// PinNew makes a network namespace and pins it to path, which it creates with
// mode 0600. Before that it runs setup in the new namespace; if that fails
// nothing is pinned.
func PinNew(path string, setup func() error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make namespace file: %w", err)
	}
	f.Close()
	return OnOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot make network namespace: %w", err)
		}
		if err := setup(); err != nil {
			return err
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cannot pin network namespace: %w", err)
		}
		return nil
	})
}

// Unpin takes the namespace off path and removes the file. What still lives
// in the namespace keeps it. Doing it again is no error.
func Unpin(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot unpin network namespace: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove namespace file: %w", err)
	}
	return nil
}

// SetSysctl writes a setting below net, such as "ipv4/ip_forward", of the
// calling thread's network namespace. One
// that this kernel does not have (IPv6 compiled out) is as good as off.
func SetSysctl(name, value string) error {
	err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot set net/%s: %w", name, err)
	}
	return nil
}
