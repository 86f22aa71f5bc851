package ocispec

import (
	"io/fs"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
)

func linux(in Input) (*specs.Linux, error) {
	spec := in.Spec
	namespaces, err := namespaces(in)
	if err != nil {
		return nil, err
	}
	resources, err := resources(in)
	if err != nil {
		return nil, err
	}
	sysctls, err := sysctls(in)
	if err != nil {
		return nil, err
	}
	l := &specs.Linux{
		CgroupsPath: in.CgroupsPath,
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

func resources(in Input) (*specs.LinuxResources, error) {
	l := in.Spec.Limits
	if err := checkControllers(l, in.Host.MissingControllers); err != nil {
		return nil, err
	}
	r := &specs.LinuxResources{Devices: deviceRules(in)}
	if l.Memory > 0 || l.MemoryReservation > 0 || l.OomKillDisable {
		r.Memory = memory(l, in.Host)
	}
	if l.OomKillDisable && in.Host.CgroupVersion == 2 {
		return nil, model.Errorf(model.KindInvalid, "OomKillDisable is not possible with version 2 of control groups")
	}
	if l.CPUShares != 0 || l.CPUQuota != 0 || l.CPUPeriod != 0 || l.CpusetCpus != "" || l.CpusetMems != "" {
		r.CPU = cpu(l)
	}
	if l.Pids > 0 {
		r.Pids = &specs.LinuxPids{Limit: &l.Pids}
	}
	if l.BlkioWeight > 0 {
		if !in.Host.BlkioWeight {
			return nil, model.Errorf(model.KindInvalid, "BlkioWeight is not possible: the node's kernel has no I/O weights")
		}
		r.BlockIO = &specs.LinuxBlockIO{Weight: &l.BlkioWeight}
	}
	return r, nil
}

// checkControllers refuses limits that the kernel would not keep.
func checkControllers(l model.Limits, missing []string) error {
	for _, limit := range []struct {
		asked      bool
		what       string
		controller string
	}{
		{l.Memory > 0 || l.MemoryReservation > 0 || l.OomKillDisable, "memory", "memory"},
		{l.CPUShares != 0 || l.CPUQuota != 0 || l.CPUPeriod != 0, "CPU time", "cpu"},
		{l.CpusetCpus != "" || l.CpusetMems != "", "the set of CPUs", "cpuset"},
		{l.Pids > 0, "processes", "pids"},
		{l.BlkioWeight > 0, "I/O", "io"},
	} {
		if limit.asked && slices.Contains(missing, limit.controller) {
			return model.Errorf(model.KindInvalid, "cannot limit %s: the node has no %s controller of control groups; ask for no such limit, or the operator for the controller", limit.what, limit.controller)
		}
	}
	return nil
}

// memory limits memory and, where the kernel can, swap: to as much again as
// the memory, unless something else is asked for, as Docker does.
func memory(l model.Limits, host Host) *specs.LinuxMemory {
	m := &specs.LinuxMemory{}
	if l.Memory > 0 {
		m.Limit = &l.Memory
		swap := l.MemorySwap
		if swap == 0 {
			swap = 2 * l.Memory
		}
		if host.SwapLimit {
			m.Swap = &swap
		}
	}
	if l.MemoryReservation > 0 {
		m.Reservation = &l.MemoryReservation
	}
	if l.OomKillDisable {
		m.DisableOOMKiller = &l.OomKillDisable
	}
	return m
}

func cpu(l model.Limits) *specs.LinuxCPU {
	c := &specs.LinuxCPU{Cpus: l.CpusetCpus, Mems: l.CpusetMems}
	if l.CPUShares > 0 {
		shares := uint64(l.CPUShares)
		c.Shares = &shares
	}
	if l.CPUQuota != 0 {
		c.Quota = &l.CPUQuota
	}
	if l.CPUPeriod > 0 {
		period := uint64(l.CPUPeriod)
		c.Period = &period
	}
	return c
}

// deviceRules let a container make any device file, and use only the harmless
// ones of every container and those that it was given.
func deviceRules(in Input) []specs.LinuxDeviceCgroup {
	if in.Spec.Privileged {
		return []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
	}
	rules := []specs.LinuxDeviceCgroup{
		{Allow: false, Access: "rwm"},
		{Allow: true, Type: "c", Access: "m"}, {Allow: true, Type: "b", Access: "m"},
	}
	for _, d := range [][2]int64{{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, -1}} {
		rule := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &d[0], Access: "rwm"}
		if d[1] >= 0 {
			rule.Minor = &d[1]
		}
		rules = append(rules, rule)
	}
	for i := range in.Devices {
		d := &in.Devices[i]
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: d.Access})
	}
	return rules
}

func devices(list []Device) []specs.LinuxDevice {
	var out []specs.LinuxDevice
	for i := range list {
		d := &list[i]
		mode := fs.FileMode(d.Mode & 0o777)
		out = append(out, specs.LinuxDevice{Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor, FileMode: &mode, UID: &d.UID, GID: &d.GID})
	}
	return out
}
