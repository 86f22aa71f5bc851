package rack

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// ensureRunDir mounts the rack's run directory: a tmpfs, as /run is on a real
// machine. It is private, because only there can mount namespaces be pinned.
func (r *Rack) ensureRunDir() error {
	dir := r.runDir()
	mounted, err := mountinfo.Mounted(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot look for the run directory: %w", err)
	}
	if mounted {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil { // left by a former boot
		return fmt.Errorf("cannot clear the run directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the run directory: %w", err)
	}
	if err := unix.Mount("spearhead-rack", dir, "tmpfs", unix.MS_NOSUID, "mode=0700"); err != nil {
		return fmt.Errorf("cannot mount the run directory: %w", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make the run directory private: %w", err)
	}
	return nil
}

// ensureHost gives a host its namespaces and its links.
func (r *Rack) ensureHost(h host) error {
	for _, dir := range []string{r.hostDir(h), r.hostRun(h)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make a folder for %s: %w", h.name, err)
		}
	}
	fresh := !namespace.IsPinned(r.netPin(h))
	if fresh {
		if err := namespace.PinNew(r.netPin(h), func() error { return nil }); err != nil {
			return fmt.Errorf("cannot make %s: %w", h.name, err)
		}
	}
	if err := r.wireHost(h, fresh); err != nil {
		return err
	}
	if !namespace.IsPinned(r.mountPin(h)) {
		if err := r.pinMounts(h); err != nil {
			return fmt.Errorf("cannot make %s: %w", h.name, err)
		}
	}
	return nil
}

// pinMounts makes a host's mount namespace. It can be pinned only from
// outside of it, by this goroutine, while the thread that made it waits.
func (r *Rack) pinMounts(h host) error {
	pin, err := os.OpenFile(r.mountPin(h), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make namespace file: %w", err)
	}
	pin.Close()
	made, pinned, done := make(chan int), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- namespace.OnOwnThread(func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("cannot make mount namespace: %w", err)
			}
			if err := r.arrangeMounts(); err != nil {
				return err
			}
			made <- unix.Gettid()
			<-pinned
			return nil
		})
	}()
	select {
	case err := <-done:
		return err
	case thread := <-made:
		source := fmt.Sprintf("/proc/self/task/%d/ns/mnt", thread)
		err = unix.Mount(source, r.mountPin(h), "", unix.MS_BIND, "")
		close(pinned)
		if err = errors.Join(err, <-done); err != nil {
			return fmt.Errorf("cannot pin mount namespace: %w", err)
		}
		return nil
	}
}

// arrangeMounts makes the calling thread's new mount namespace a machine's
// own: what it mounts is not seen outside, and it holds none of the mounts by
// which racks pin their namespaces, which could not end otherwise.
func (r *Rack) arrangeMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("cannot separate mounts: %w", err)
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(racksDir))
	if err != nil {
		return fmt.Errorf("cannot list mounts: %w", err)
	}
	slices.Reverse(mounts) // the inner ones first
	for _, m := range mounts {
		if m.Mountpoint == r.runDir() {
			continue
		}
		err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // those of a rack that goes meanwhile
			return fmt.Errorf("cannot let go of %s: %w", m.Mountpoint, err)
		}
	}
	if err := dropHybridCgroups("/sys/fs/cgroup"); err != nil {
		return err
	}
	if err := unix.Mount(r.resolvConf(), "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot give the host its name servers: %w", err)
	}
	return nil
}

// dropHybridCgroups takes the second hierarchy away where a machine mounts
// both versions: crun refuses to run there.
func dropHybridCgroups(root string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil || st.Type == unix.CGROUP2_SUPER_MAGIC {
		return nil
	}
	err := unix.Unmount(filepath.Join(root, "unified"), unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot take the second cgroup hierarchy away: %w", err)
	}
	return nil
}

// writeResolvers writes the name servers that hosts use.
func (r *Rack) writeResolvers(servers []netip.Addr) error {
	var text strings.Builder
	for _, s := range servers {
		fmt.Fprintf(&text, "nameserver %s\n", s)
	}
	if err := os.WriteFile(r.resolvConf(), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("cannot write name servers: %w", err)
	}
	return nil
}

// machineResolvers are this machine's name servers, as far as they can be
// reached from elsewhere: one on the loopback (systemd-resolved) cannot, so
// then those behind it are asked for, and last public ones.
func machineResolvers(files ...string) []netip.Addr {
	for _, file := range files {
		var list []netip.Addr
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			words := strings.Fields(lines.Text())
			if len(words) < 2 || words[0] != "nameserver" {
				continue
			}
			if a, err := netip.ParseAddr(words[1]); err == nil && a.Is4() && !a.IsLoopback() {
				list = append(list, a)
			}
		}
		f.Close()
		if list != nil {
			return list
		}
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{1, 1, 1, 1}), netip.AddrFrom4([4]byte{8, 8, 8, 8})}
}

func systemResolvers() []netip.Addr {
	return machineResolvers("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
}

// removeHosts lets go of the hosts' namespaces and of the run directory. With
// the hosts' processes gone the namespaces end, and all mounts in them.
func (r *Rack) removeHosts() error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(r.runDir()))
	if err != nil {
		return fmt.Errorf("cannot list mounts: %w", err)
	}
	slices.Reverse(mounts)
	for _, m := range mounts {
		err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // those of a rack that goes meanwhile
			return fmt.Errorf("cannot unmount %s: %w", m.Mountpoint, err)
		}
	}
	if err := os.RemoveAll(r.runDir()); err != nil {
		return fmt.Errorf("cannot remove the run directory: %w", err)
	}
	return nil
}
