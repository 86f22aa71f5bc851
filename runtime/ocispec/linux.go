package ocispec

import (
	"maps"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
)

// cgroupsPath is the container's own group: the account's, unless one below
// another parent is asked for.
func cgroupsPath(in Input) (string, error) {
	parent := in.Spec.CgroupParent
	if parent == "" {
		return in.CgroupsPath, nil
	}
	if !path.IsAbs(parent) || path.Clean(parent) != strings.TrimRight(parent, "/") || strings.ContainsRune(parent, 0) {
		return "", model.Errorf(model.KindInvalid, "invalid CgroupParent %.100q: give an absolute path below the control groups' root, without . and ..", parent)
	}
	return path.Join(parent, in.ID), nil
}

func linux(in Input) (*specs.Linux, error) {
	spec := in.Spec
	namespaces, err := namespaces(in)
	if err != nil {
		return nil, err
	}
	resources, err := Resources(&spec.Limits, in.Host, in.BlockDevices)
	if err != nil {
		return nil, err
	}
	if resources.Devices, err = deviceRules(in); err != nil {
		return nil, err
	}
	group, err := cgroupsPath(in)
	if err != nil {
		return nil, err
	}
	sysctls, err := sysctls(in)
	if err != nil {
		return nil, err
	}
	l := &specs.Linux{
		CgroupsPath: group,
		Namespaces:  namespaces,
		Resources:   resources,
		Sysctl:      sysctls,
		Devices:     devices(in.Devices),
	}
	if !spec.Privileged {
		l.MaskedPaths = append(model.DefaultMaskedPaths(), in.Host.MaskedPaths...)
		l.ReadonlyPaths = model.DefaultReadonlyPaths()
	}
	if spec.MaskedPaths != nil {
		l.MaskedPaths = slices.Clone(*spec.MaskedPaths)
	}
	if spec.ReadonlyPaths != nil {
		l.ReadonlyPaths = slices.Clone(*spec.ReadonlyPaths)
	}
	l.RootfsPropagation = rootPropagation(spec.Mounts)
	return l, nil
}

// rootPropagation lets a mount propagate that is asked to.
func rootPropagation(mounts []model.Mount) string {
	root := ""
	for _, m := range mounts {
		switch m.Propagation {
		case "shared", "rshared":
			return "shared"
		case "slave", "rslave":
			root = "rslave"
		}
	}
	return root
}

func namespaces(in Input) ([]specs.LinuxNamespace, error) {
	spec := in.Spec
	out := []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	if in.Netns != "host" {
		out = append(out, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: in.Netns})
	}
	if spec.UTSMode != "host" {
		out = append(out, specs.LinuxNamespace{Type: specs.UTSNamespace})
	}
	pid, err := joinable("PidMode", spec.PidMode, in.PidNamespace, "", "private")
	if err != nil {
		return nil, err
	}
	ipc, err := joinable("IpcMode", spec.IpcMode, in.IpcNamespace, "", "private", "none", "shareable")
	if err != nil {
		return nil, err
	}
	if spec.PidMode != "host" {
		out = append(out, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: pid})
	}
	if spec.IpcMode != "host" {
		out = append(out, specs.LinuxNamespace{Type: specs.IPCNamespace, Path: ipc})
	}
	// Docker's default is private with version 2 and the node's with version 1.
	private := spec.CgroupnsMode == "private" || spec.CgroupnsMode == "" && in.Host.CgroupVersion == 2 && !spec.Privileged
	if private {
		out = append(out, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	return out, nil
}

// joinable returns the path of the namespace that mode joins, "" for a new one.
func joinable(field, mode, path string, fresh ...string) (string, error) {
	switch {
	case mode == "host" || slices.Contains(fresh, mode):
		return "", nil
	case strings.HasPrefix(mode, "container:") && path != "":
		return path, nil
	case strings.HasPrefix(mode, "container:"):
		return "", model.Errorf(model.KindConflict, "cannot join the namespace of a container that is not running (%s)", field)
	}
	return "", model.Errorf(model.KindInvalid, "invalid %s: %q", field, mode)
}

func sysctls(in Input) (map[string]string, error) {
	out := map[string]string{}
	if in.Netns != "host" {
		// As Docker does, so that ping and low ports need no capability.
		out["net.ipv4.ping_group_range"] = "0 2147483647"
		out["net.ipv4.ip_unprivileged_port_start"] = "0"
	}
	if in.Spec.Domainname != "" && in.Spec.UTSMode != "host" {
		out["kernel.domainname"] = in.Spec.Domainname
	}
	for name := range in.Spec.Sysctls {
		if err := checkSysctl(name, in); err != nil {
			return nil, err
		}
	}
	maps.Copy(out, in.Spec.Sysctls)
	return out, nil
}

// checkSysctl lets pass only what belongs to a namespace of the container.
func checkSysctl(name string, in Input) error {
	ipc := strings.HasPrefix(name, "fs.mqueue.") || slices.Contains([]string{
		"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
		"kernel.shmmni", "kernel.shm_rmid_forced",
	}, name)
	switch {
	case strings.HasPrefix(name, "net.") && in.Netns != "host" && !strings.Contains(name, "/") && !strings.Contains(name, ".."):
		return nil
	case ipc && in.Spec.IpcMode != "host":
		return nil
	}
	return model.Errorf(model.KindInvalid, "sysctl '%s' is not allowed: it is not of a namespace of the container", name)
}
