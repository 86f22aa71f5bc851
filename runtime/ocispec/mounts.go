package ocispec

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
)

const defaultShmSize = 64 << 20

// mounts lists Docker's own mounts, then the files in /etc and what was asked
// for, parents first. What is asked for replaces one of Docker's own at the same
// place. /dev is always a fresh tmpfs unless the node's own is bound there: an
// image's /dev has been the way out of several runtimes.
func mounts(in Input) ([]specs.Mount, error) {
	asked, err := askedMounts(in.Spec)
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, m := range asked {
		taken[m.Destination] = true
	}
	for _, f := range [][2]string{{"/etc/hostname", in.Hostname}, {"/etc/hosts", in.Hosts}, {"/etc/resolv.conf", in.ResolvConf}} {
		if f[1] != "" && !taken[f[0]] {
			asked = append(asked, specs.Mount{Destination: f[0], Type: "bind", Source: f[1], Options: []string{"rbind", "rprivate"}})
		}
	}
	if usesInit(in.Spec) && !taken[initTarget] {
		asked = append(asked, specs.Mount{Destination: initTarget, Type: "bind", Source: in.Init, Options: []string{"bind", "ro", "rprivate"}})
	}
	slices.SortFunc(asked, func(a, b specs.Mount) int {
		depth := func(m specs.Mount) int { return strings.Count(m.Destination, "/") }
		return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(a.Destination, b.Destination))
	})
	own := slices.DeleteFunc(defaultMounts(in), func(m specs.Mount) bool { return taken[m.Destination] })
	return append(own, asked...), nil
}

func defaultMounts(in Input) []specs.Mount {
	spec := in.Spec
	access := "ro"
	if spec.Privileged {
		access = "rw"
	}
	out := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{access, "nosuid", "noexec", "nodev"}},
	}
	if spec.IpcMode == "host" {
		return append(out,
			specs.Mount{Destination: "/dev/mqueue", Type: "bind", Source: "/dev/mqueue", Options: []string{"rbind", "rprivate"}},
			specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm", Options: []string{"rbind", "rprivate"}})
	}
	out = append(out, specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}})
	if spec.IpcMode == "none" {
		return out
	}
	size := spec.ShmSize
	if size == 0 {
		size = defaultShmSize
	}
	return append(out, specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
		Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + strconv.FormatInt(size, 10)}})
}

func askedMounts(spec *model.ContainerSpec) ([]specs.Mount, error) {
	var out []specs.Mount
	for _, m := range spec.Mounts {
		made, err := askedMount(m)
		if err != nil {
			return nil, err
		}
		out = append(out, made)
	}
	for target, options := range spec.Tmpfs {
		made, err := tmpfs(target, options)
		if err != nil {
			return nil, err
		}
		out = append(out, made)
	}
	seen := map[string]bool{}
	for _, m := range out {
		if seen[m.Destination] {
			return nil, model.Errorf(model.KindInvalid, "Duplicate mount point: %s", m.Destination)
		}
		seen[m.Destination] = true
		if err := checkTarget(m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkTarget refuses what would replace the kernel's own trees. The node's
// own /dev and /sys may be bound by those who may bind at all.
func checkTarget(m specs.Mount) error {
	refused := m.Destination == "/" || m.Destination == "/proc" || strings.HasPrefix(m.Destination, "/proc/") ||
		m.Type == "tmpfs" && (m.Destination == "/dev" || m.Destination == "/sys" || strings.HasPrefix(m.Destination, "/sys/"))
	if refused {
		return model.Errorf(model.KindInvalid, "invalid mount: nothing can be mounted at %s", m.Destination)
	}
	return nil
}

func askedMount(m model.Mount) (specs.Mount, error) {
	target, err := cleanTarget(m.Target)
	if err != nil {
		return specs.Mount{}, err
	}
	switch m.Type {
	case "tmpfs":
		options := []string{"nosuid", "nodev", "noexec"}
		if m.ReadOnly {
			options = append(options, "ro")
		}
		if m.TmpfsSize > 0 {
			options = append(options, "size="+strconv.FormatInt(m.TmpfsSize, 10))
		}
		mode := m.TmpfsMode
		if mode == 0 {
			mode = 0o1777
		}
		options = append(options, fmt.Sprintf("mode=%o", mode&0o7777))
		return specs.Mount{Destination: target, Type: "tmpfs", Source: "tmpfs", Options: options}, nil
	case "bind":
		return bindMount(m, target)
	}
	return specs.Mount{}, model.Errorf(model.KindInvalid, "invalid mount type %q at %s: bind and tmpfs are known", m.Type, target)
}

func bindMount(m model.Mount, target string) (specs.Mount, error) {
	if !path.IsAbs(m.Source) {
		return specs.Mount{}, model.Errorf(model.KindInvalid, "invalid mount at %s: its source is not an absolute path", target)
	}
	propagation := m.Propagation
	switch propagation {
	case "":
		propagation = "rprivate"
	case "private", "rprivate", "shared", "rshared", "slave", "rslave":
	default:
		return specs.Mount{}, model.Errorf(model.KindInvalid, "invalid propagation %q of the mount at %s", m.Propagation, target)
	}
	access := "rw"
	if m.ReadOnly {
		access = "ro"
	}
	return specs.Mount{Destination: target, Type: "bind", Source: path.Clean(m.Source), Options: []string{"rbind", access, propagation}}, nil
}

// tmpfs makes a mount of --tmpfs PATH:OPTIONS.
func tmpfs(target, options string) (specs.Mount, error) {
	target, err := cleanTarget(target)
	if err != nil {
		return specs.Mount{}, err
	}
	out := []string{"noexec", "nosuid", "nodev"}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "":
		case "exec", "suid", "dev":
			out = slices.DeleteFunc(out, func(o string) bool { return o == "no"+name })
		case "rw", "ro", "noexec", "nosuid", "nodev", "atime", "noatime", "relatime", "strictatime", "diratime", "nodiratime", "sync", "async":
			out = append(slices.DeleteFunc(out, func(o string) bool { return o == name }), name)
		case "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks":
			if value == "" || strings.Trim(value, "0123456789kKmMgG%") != "" {
				return specs.Mount{}, model.Errorf(model.KindInvalid, "invalid tmpfs option %q at %s", option, target)
			}
			out = append(out, name+"="+value)
		default:
			return specs.Mount{}, model.Errorf(model.KindInvalid, "invalid tmpfs option %q at %s", option, target)
		}
	}
	return specs.Mount{Destination: target, Type: "tmpfs", Source: "tmpfs", Options: out}, nil
}

func cleanTarget(target string) (string, error) {
	if !path.IsAbs(target) || strings.ContainsRune(target, 0) {
		return "", model.Errorf(model.KindInvalid, "invalid mount path: '%s' mount path must be absolute", target)
	}
	return path.Clean(target), nil
}
