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

// Capabilities returns the capabilities that spec asks for, sorted: the
// default ones, all of them when privileged, with what is added and without
// what is dropped. ALL may be added or dropped. An unknown name is KindInvalid.
func Capabilities(spec *model.ContainerSpec, known []string) ([]string, error) {
	if spec.Privileged {
		return sorted(known), nil
	}
	add, err := capabilityNames(spec.CapAdd, known)
	if err != nil {
		return nil, err
	}
	drop, err := capabilityNames(spec.CapDrop, known)
	if err != nil {
		return nil, err
	}
	caps := DefaultCapabilities()
	switch {
	case slices.Contains(add, allCapabilities):
		caps = slices.Clone(known)
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

func capabilityNames(names, known []string) ([]string, error) {
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
		if !slices.Contains(known, c) {
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
