package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// folders is a flag that may be given many times.
type folders []string

// String implements flag.Value.
func (f *folders) String() string { return strings.Join(*f, " ") }

// Set implements flag.Value.
func (f *folders) Set(dir string) error {
	*f = append(*f, dir)
	return nil
}

// ownMounts makes the mount namespace that the agent started the builder in its
// own. It began as a copy of the node's, and what is mounted in it keeps what
// it shows in use: a builder lives for long, and must not keep containers' roots,
// volumes and networks from being removed.
func ownMounts(f flags) error {
	// What builds mount is seen by nobody else and goes with the namespace; what
	// the node unmounts goes here too, where the machine passes it on.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("cannot separate mounts: %w", err)
	}
	if err := hideMounts(f.hide, f.root, f.run); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	if f.resolvConf == "" {
		return nil
	}
	if err := unix.Mount(f.resolvConf, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot mount /etc/resolv.conf: %w", err)
	}
	return nil
}

// hideMounts lets go of all that is mounted below the folders dirs but what the
// folders needed lie on.
func hideMounts(dirs []string, needed ...string) error {
	dirs, err := realPaths(dirs)
	if err != nil {
		return err
	}
	needed, err = realPaths(needed)
	if err != nil {
		return err
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return fmt.Errorf("cannot look at mounts: %w", err)
	}
	for i := len(mounts) - 1; i >= 0; i-- { // the inner ones first
		at := mounts[i].Mountpoint
		if !belowAny(at, dirs) || carriesAny(at, needed) {
			continue
		}
		err := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // the node has unmounted it by now
			return fmt.Errorf("cannot let go of a mount: %w", err)
		}
	}
	return nil
}

// realPaths names folders as the kernel names the places of mounts.
func realPaths(dirs []string) ([]string, error) {
	paths := make([]string, 0, len(dirs))
	for _, dir := range dirs {
		path, err := filepath.Abs(dir)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot find a folder: %w", err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// belowAny reports whether path is one of dirs or lies in one.
func belowAny(path string, dirs []string) bool {
	for _, dir := range dirs {
		if path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") {
			return true
		}
	}
	return false
}

// carriesAny reports whether one of dirs is path or lies in it.
func carriesAny(path string, dirs []string) bool {
	for _, dir := range dirs {
		if belowAny(dir, []string{path}) {
			return true
		}
	}
	return false
}
