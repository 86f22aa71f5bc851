package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

// findDevices looks up the node's devices that spec names, or all for a
// privileged container.
func findDevices(spec *model.ContainerSpec) ([]ocispec.Device, error) {
	var out []ocispec.Device
	if spec.Privileged {
		all, err := allDevices()
		if err != nil {
			return nil, err
		}
		out = all
	}
	for _, d := range spec.Devices {
		target := d.PathInContainer
		if target == "" {
			target = d.PathOnHost
		}
		found, err := devicesUnder(d.PathOnHost, target, d.Permissions)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// devicesUnder returns a device, or those of a directory.
func devicesUnder(source, target, access string) ([]ocispec.Device, error) {
	if access == "" {
		access = "rwm"
	}
	if strings.Trim(access, "rwm") != "" {
		return nil, model.Errorf(model.KindInvalid, "invalid device mode: %s", access)
	}
	source, err := filepath.EvalSymlinks(source)
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "error gathering device information: %s is not usable", target)
	}
	var out []ocispec.Device
	err = filepath.WalkDir(source, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went meanwhile
		}
		if d, ok := deviceAt(path); ok {
			d.Path = target + strings.TrimPrefix(path, source)
			d.Access = access
			out = append(out, d)
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = errors.New("no device there")
	}
	return out, model.WrapError(model.KindInvalid, err, "error gathering device information: %s is not a device", target)
}

// findBlockDevices looks up the disks whose I/O is limited.
func findBlockDevices(l *model.Limits) (map[string]ocispec.BlockDevice, error) {
	out := map[string]ocispec.BlockDevice{}
	for _, limit := range slices.Concat(l.BlkioWeightDevice, l.BlkioReadBps, l.BlkioWriteBps, l.BlkioReadIOps, l.BlkioWriteIOps) {
		var st unix.Stat_t
		if err := unix.Stat(limit.Path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
			return nil, model.WrapError(model.KindInvalid, errors.Join(err, unix.ENOTBLK), "cannot limit I/O of %.100s: the node has no such block device", limit.Path)
		}
		d := ocispec.BlockDevice{Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev))}
		if _, err := os.Stat(fmt.Sprintf("/sys/dev/block/%d:%d/partition", d.Major, d.Minor)); err == nil {
			return nil, model.Errorf(model.KindInvalid, "cannot limit I/O of %.100s: it is a partition, and the kernel limits whole disks only", limit.Path)
		}
		out[limit.Path] = d
	}
	return out, nil
}

// allDevices returns the node's devices, without those that each container has
// of its own.
func allDevices() ([]ocispec.Device, error) {
	var out []ocispec.Device
	err := filepath.WalkDir("/dev", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went meanwhile
		}
		switch path {
		case "/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/.lxc", "/dev/.lxd-mounts", "/dev/.udev":
			return fs.SkipDir
		case "/dev/console", "/dev/ptmx", "/dev/tty", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom":
			return nil
		}
		if d, ok := deviceAt(path); ok {
			d.Access = "rwm"
			out = append(out, d)
		}
		return nil
	})
	return out, err
}

func deviceAt(path string) (ocispec.Device, bool) {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return ocispec.Device{}, false
	}
	d := ocispec.Device{
		Path: path, Mode: st.Mode & 0o777, UID: st.Uid, GID: st.Gid,
		Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		d.Type = "c"
	case unix.S_IFBLK:
		d.Type = "b"
	default:
		return d, false
	}
	return d, true
}
