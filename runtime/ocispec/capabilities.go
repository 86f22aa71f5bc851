package ocispec

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
)

// DefaultCapabilities returns what a container has that asks for nothing:
// Docker's fourteen without CAP_MKNOD, as there is no device that a container
// could use and has not got. CAP_NET_RAW stays: without it ping fails in many
// images, and a node lets no forged packet out of a container's interface.
func DefaultCapabilities() []string {
	return []string{
		"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
		"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
		"CAP_SYS_CHROOT",
	}
}

// KnownCapabilities returns the names of all capabilities, in the kernel's
// order (capabilities(7)).
func KnownCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
		"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
		"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
		"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
		"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
		"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
	}
}

// Capabilities returns the capabilities that spec asks for, sorted: the
// default ones, all that the node can give when privileged, with what is added
// and without what is dropped. ALL may be added or dropped. KindInvalid are an
// unknown name, and to add what is not the node's to give; to drop that is
// allowed, as the container then has it as little as it would have.
func Capabilities(spec *model.ContainerSpec, given []string) ([]string, error) {
	if spec.Privileged {
		return sorted(given), nil
	}
	add, err := capabilityNames(spec.CapAdd, given)
	if err != nil {
		return nil, err
	}
	drop, err := capabilityNames(spec.CapDrop, KnownCapabilities())
	if err != nil {
		return nil, err
	}
	caps := DefaultCapabilities()
	switch {
	case slices.Contains(add, allCapabilities):
		caps = slices.Clone(given)
	case slices.Contains(drop, allCapabilities):
		caps = nil
	}
	for _, c := range add {
		if c != allCapabilities && !slices.Contains(caps, c) {
			caps = append(caps, c)
		}
	}
	caps = slices.DeleteFunc(caps, func(c string) bool { return slices.Contains(drop, c) })
	return sorted(caps), nil
}

const allCapabilities = "ALL"

// capabilityNames writes names in full; those that are not allowed are refused.
func capabilityNames(names, allowed []string) ([]string, error) {
	out := make([]string, 0, len(names))
	for _, name := range names {
		c := strings.ToUpper(name)
		if c == allCapabilities {
			out = append(out, c)
			continue
		}
		if !strings.HasPrefix(c, "CAP_") {
			c = "CAP_" + c
		}
		if !slices.Contains(allowed, c) {
			return nil, model.Errorf(model.KindInvalid, "invalid capability: %q is not known to the node's kernel, or not the node's to give", name)
		}
		out = append(out, c)
	}
	return out, nil
}

// ProcessCapabilities are the sets that a process of user uid starts with. As
// execve(2) would have it, only root has them in effect.
func ProcessCapabilities(caps []string, uid uint32) *specs.LinuxCapabilities {
	if uid != 0 {
		return &specs.LinuxCapabilities{Bounding: caps}
	}
	return &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
