package policy

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// Violation is one thing that an account may not ask.
type Violation struct {
	Field  string // in Docker's name: HostConfig.Privileged
	Reason string // what is not allowed, and what is
}

// Check returns every part of r that a may not ask, in the order in which
// Docker's documentation lists the fields. A trusted account may ask anything.
func Check(a model.Account, r *model.CreateContainer) []Violation {
	if a.Policy == model.PolicyTrusted {
		return nil
	}
	var c checker
	c.privileges(&r.Spec)
	c.namespaces(&r.Spec, &r.Asked)
	c.files(&r.Spec, &r.Asked)
	c.devices(&r.Spec, &r.Asked)
	c.security(&r.Spec, &r.Asked)
	c.resources(&r.Spec, &r.Asked)
	c.limits(&r.Spec.Limits)
	return c.found
}

// CheckLimits returns what a may not ask of the limits of a container, as they
// are to be after an update.
func CheckLimits(a model.Account, l *model.Limits) []Violation {
	var c checker
	if a.Policy != model.PolicyTrusted {
		c.limits(l)
	}
	return c.found
}

// CheckVolumesFrom returns what a may not ask of another container's mounts:
// host paths reach no tenant by way of a container that was made while the
// account was trusted.
func CheckVolumesFrom(a model.Account, mounts []model.Mount) []Violation {
	var c checker
	if a.Policy != model.PolicyTrusted {
		for _, m := range mounts {
			if m.Type != model.MountVolume {
				c.deny("HostConfig.VolumesFrom", "host volumes are not supported, as for %q", m.Target)
			}
		}
	}
	return c.found
}

// CheckExec returns what a may not ask of a process added to a container.
func CheckExec(a model.Account, privileged bool) []Violation {
	var c checker
	if a.Policy != model.PolicyTrusted && privileged {
		c.deny("Privileged", "a privileged process is not allowed")
	}
	return c.found
}

// Refuse makes one error of KindForbidden that names every violation, or nil
// if there is none.
func Refuse(vs []Violation) error {
	if len(vs) == 0 {
		return nil
	}
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = v.Field + ": " + v.Reason
	}
	return model.Errorf(model.KindForbidden,
		"this account may not ask for %s; leave it out, or ask the operator to make the account trusted",
		strings.Join(parts, "; "))
}

type checker struct{ found []Violation }

func (c *checker) deny(field, format string, args ...any) {
	c.found = append(c.found, Violation{field, fmt.Sprintf(format, args...)})
}

func (c *checker) denyIf(cond bool, field, reason string) {
	if cond {
		c.deny(field, "%s", reason)
	}
}

// DefaultCapabilities are the names, without CAP_, of what Docker gives every
// container; a tenant may add no others.
func DefaultCapabilities() []string {
	return []string{
		"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
		"NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
	}
}

func (c *checker) privileges(s *model.ContainerSpec) {
	c.denyIf(s.Privileged, "HostConfig.Privileged", "privileged containers are not allowed")
	allowed := DefaultCapabilities()
	for _, added := range s.CapAdd {
		name := strings.TrimPrefix(strings.ToUpper(added), "CAP_")
		if !slices.Contains(allowed, name) {
			c.deny("HostConfig.CapAdd", "capability %q is not among those that a container may have", added)
		}
	}
}

func (c *checker) namespaces(s *model.ContainerSpec, asked *model.Asked) {
	for _, ns := range []struct{ field, mode string }{
		{"HostConfig.NetworkMode", s.Network},
		{"HostConfig.PidMode", s.PidMode},
		{"HostConfig.IpcMode", s.IpcMode},
		{"HostConfig.UTSMode", s.UTSMode},
		{"HostConfig.CgroupnsMode", s.CgroupnsMode},
		{"HostConfig.UsernsMode", cmp.Or(asked.UsernsMode, s.UsernsMode)},
	} {
		c.denyIf(ns.mode == "host", ns.field, "the host's namespace is not allowed")
	}
}

func (c *checker) files(s *model.ContainerSpec, asked *model.Asked) {
	for _, m := range s.Mounts {
		if m.Type == model.MountTmpfs || m.Type == model.MountVolume {
			continue
		}
		c.deny("HostConfig.Binds/Mounts", "host volumes are not supported, as for %q; name a volume in the place of the host's path", m.Target)
	}
	c.denyIf(asked.VolumeDriver != "", "HostConfig.VolumeDriver", "volume drivers are not allowed")
	c.denyIf(s.MaskedPaths != nil, "HostConfig.MaskedPaths", "only the default list is allowed")
	c.denyIf(s.ReadonlyPaths != nil, "HostConfig.ReadonlyPaths", "only the default list is allowed")
}

func (c *checker) devices(s *model.ContainerSpec, asked *model.Asked) {
	c.denyIf(len(s.Devices) > 0, "HostConfig.Devices", "devices of the host are not allowed")
	c.denyIf(len(asked.DeviceRequests) > 0, "HostConfig.DeviceRequests", "devices of the host are not allowed")
	c.denyIf(len(asked.DeviceCgroupRules)+len(s.DeviceCgroupRules) > 0, "HostConfig.DeviceCgroupRules", "device rules are not allowed")
}

func (c *checker) security(s *model.ContainerSpec, asked *model.Asked) {
	denied := false
	for _, opt := range asked.SecurityOpt {
		if !harmlessSecurityOpt(opt) {
			denied = true
			c.deny("HostConfig.SecurityOpt", "%q is not allowed; no-new-privileges is", clip(opt))
		}
	}
	// The decoded profile is what the container would run with: it is judged
	// even if the raw option was not passed on.
	c.denyIf(s.Seccomp != "" && !denied, "HostConfig.SecurityOpt", "only the default seccomp profile is allowed")
	for _, name := range sortedKeys(s.Sysctls) {
		if !tenantSysctl(name) {
			c.deny("HostConfig.Sysctls", "%q is not allowed; only settings of the container's own network (net.*) are", clip(name))
		}
	}
}

func harmlessSecurityOpt(opt string) bool {
	switch opt {
	case "no-new-privileges", "no-new-privileges:true", "no-new-privileges=true",
		"no-new-privileges:false", "no-new-privileges=false":
		return true
	}
	return false
}

// tenantSysctl allows the settings that the kernel keeps per network
// namespace. The name is a path below /proc/sys with dots for slashes, so it
// must not be able to leave it.
func tenantSysctl(name string) bool {
	slashed := strings.ReplaceAll(name, ".", "/")
	return strings.HasPrefix(slashed, "net/") && path.Clean(slashed) == slashed &&
		!strings.HasPrefix(slashed, "net/core/bpf")
}

func (c *checker) resources(s *model.ContainerSpec, asked *model.Asked) {
	c.denyIf(asked.CgroupParent != "" || s.CgroupParent != "", "HostConfig.CgroupParent", "a cgroup parent is not allowed")
	c.denyIf(asked.Runtime != "", "HostConfig.Runtime", "the operator chooses the runtime")
	c.denyIf(asked.Isolation != "" && asked.Isolation != "default", "HostConfig.Isolation", "only default is allowed")
	// Some annotations make an OCI runtime run hooks or keep privileges.
	c.denyIf(len(s.Annotations) > 0, "HostConfig.Annotations", "annotations reach the runtime and are not allowed; use labels")
	c.denyIf(s.OomScoreAdj < 0, "HostConfig.OomScoreAdj", "a negative score is not allowed")
	c.denyIf(asked.KernelMemory != 0, "HostConfig.KernelMemory", "a limit of kernel memory is not allowed")
}

// limits judges what an update may change, too.
func (c *checker) limits(l *model.Limits) {
	c.denyIf(l.OomKillDisable, "HostConfig.OomKillDisable", "the kernel must be able to end the container")
	c.denyIf(l.MemorySwap < 0, "HostConfig.MemorySwap", "swap without limit is not allowed")
	c.denyIf(l.CpusetCpus != "", "HostConfig.CpusetCpus", "processors are not chosen by the account; use --cpus")
	c.denyIf(l.CpusetMems != "", "HostConfig.CpusetMems", "memory nodes are not chosen by the account")
	c.denyIf(l.CPURealtimePeriod != 0, "HostConfig.CpuRealtimePeriod", "real-time scheduling is not allowed; use --cpus")
	c.denyIf(l.CPURealtimeRuntime != 0, "HostConfig.CpuRealtimeRuntime", "real-time scheduling is not allowed; use --cpus")
	for _, devices := range []struct {
		field  string
		limits []model.BlkioLimit
	}{
		{"HostConfig.BlkioWeightDevice", l.BlkioWeightDevice},
		{"HostConfig.BlkioDeviceReadBps", l.BlkioReadBps},
		{"HostConfig.BlkioDeviceWriteBps", l.BlkioWriteBps},
		{"HostConfig.BlkioDeviceReadIOps", l.BlkioReadIOps},
		{"HostConfig.BlkioDeviceWriteIOps", l.BlkioWriteIOps},
	} {
		c.denyIf(len(devices.limits) > 0, devices.field, "devices of the host are not allowed")
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// clip keeps a refusal readable whatever was sent.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
