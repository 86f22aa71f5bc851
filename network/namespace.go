package network

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// onOwnThread runs f on a thread that no other goroutine will ever use, so f
// may change what a thread has: its namespaces. The thread ends with f.
//
// The process's first thread cannot end and stands for the process in /proc,
// so when f would land there that thread waits for another one instead.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the runtime then ends the thread
		if unix.Gettid() == unix.Getpid() {
			done <- onOwnThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f()
	}()
	return <-done
}

// inNamespace runs f on its own thread in the network namespace ns. Sockets
// opened there stay in that namespace, whoever uses them later.
func inNamespace(ns *os.File, f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot enter network namespace: %w", err)
		}
		return f()
	})
}

// isPinned reports whether a namespace is mounted on path: a file left by a
// former boot is only a file.
func isPinned(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// pinNew makes a network namespace, pins it to path, applies sysctls to it
// and opens a route handle in it.
func pinNew(path string, sysctls map[string]string) (*netlink.Handle, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot make namespace file: %w", err)
	}
	f.Close()
	var h *netlink.Handle
	err = onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot make network namespace: %w", err)
		}
		for name, value := range sysctls {
			if err := setSysctl(name, value); err != nil {
				return err
			}
		}
		if h, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return fmt.Errorf("cannot open netlink: %w", err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			h.Close()
			return fmt.Errorf("cannot pin network namespace: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// openPinned opens a route handle in the namespace pinned to path.
func openPinned(path string) (*netlink.Handle, error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open network namespace: %w", err)
	}
	defer ns.Close()
	var h *netlink.Handle
	err = inNamespace(ns, func() (err error) {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open netlink: %w", err)
	}
	return h, nil
}

// unpin takes the namespace off path and removes the file. What still lives
// in the namespace keeps it; nothing of ours does.
func unpin(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot unpin network namespace: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove namespace file: %w", err)
	}
	return nil
}

// setSysctl writes a setting of the calling thread's network namespace. One
// that this kernel does not have (IPv6 compiled out) is as good as off.
func setSysctl(name, value string) error {
	err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot set net/%s: %w", name, err)
	}
	return nil
}
