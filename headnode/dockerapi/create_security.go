package dockerapi

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// capabilityNames are those of capabilities(7), without CAP_.
var capabilityNames = strings.Fields(`AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE
	CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN
	MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID
	SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE
	SYS_TIME SYS_TTY_CONFIG WAKE_ALARM`)

func (d *creation) capabilities() error {
	h, spec := d.asked.HostConfig, &d.out.Spec
	var err error
	if spec.CapAdd, err = normalCapabilities("CapAdd", h.CapAdd); err != nil {
		return err
	}
	if spec.CapDrop, err = normalCapabilities("CapDrop", h.CapDrop); err != nil {
		return err
	}
	spec.Privileged = h.Privileged
	spec.GroupAdd = noneIfEmpty(h.GroupAdd)
	if slices.Contains(spec.GroupAdd, "") {
		return invalid("invalid value for HostConfig.GroupAdd: a group is empty")
	}
	return nil
}

// normalCapabilities writes capabilities in full: CAP_NET_ADMIN, or ALL.
func normalCapabilities(field string, names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		upper := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(name)), "CAP_")
		switch {
		case upper == "ALL":
			out = append(out, "ALL")
		case slices.Contains(capabilityNames, upper):
			out = append(out, "CAP_"+upper)
		default:
			return nil, invalid("invalid %s: unknown capability: %q", field, "CAP_"+clipKey(upper))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// security reads SecurityOpt. Policy sees all of it as it came.
func (d *creation) security() error {
	h, spec := d.asked.HostConfig, &d.out.Spec
	d.out.Asked.SecurityOpt = noneIfEmpty(h.SecurityOpt)
	for _, option := range h.SecurityOpt {
		name, value := option, ""
		if i := strings.IndexAny(option, "=:"); i >= 0 {
			name, value = option[:i], option[i+1:]
		}
		field := "HostConfig.SecurityOpt[" + strconv.Quote(clipKey(option)) + "]"
		switch name {
		case "no-new-privileges":
			on, err := strconv.ParseBool(value)
			if value != "" && err != nil {
				return invalid("invalid --security-opt 2: %.64q", option)
			}
			spec.NoNewPrivileges = value == "" || on
		case "seccomp":
			if err := d.seccomp(value); err != nil {
				return err
			}
		case "systempaths":
			if value != "unconfined" {
				return invalid("invalid --security-opt 2: %.64q", option)
			}
			spec.MaskedPaths, spec.ReadonlyPaths = &[]string{}, &[]string{}
		case "apparmor": // nodes have no AppArmor, so there is nothing to switch off
			d.refuse(value != "unconfined" && value != "", field)
		case "label":
			d.refuse(value != "disable", field)
		default:
			return invalid("invalid --security-opt 1: %.64q", option)
		}
	}
	if h.MaskedPaths != nil {
		spec.MaskedPaths = &h.MaskedPaths
	}
	if h.ReadonlyPaths != nil {
		spec.ReadonlyPaths = &h.ReadonlyPaths
	}
	return nil
}

func (d *creation) seccomp(value string) error {
	switch value {
	case "", "builtin":
	case "unconfined":
		d.out.Spec.Seccomp = value
	default:
		if !json.Valid([]byte(value)) || !strings.HasPrefix(strings.TrimSpace(value), "{") {
			return invalid("invalid value for HostConfig.SecurityOpt: the seccomp profile is not a JSON object")
		}
		d.out.Spec.Seccomp = value
	}
	return nil
}

// namespaces decides what the container shares. "" is private.
func (d *creation) namespaces() error {
	h, spec := d.asked.HostConfig, &d.out.Spec
	switch {
	case !h.PidMode.Valid():
		return invalid("invalid PID mode: %.64s", h.PidMode)
	case !h.IpcMode.Valid() || h.IpcMode.IsContainer() && h.IpcMode.Container() == "":
		return invalid("invalid IPC mode: %.64s", h.IpcMode)
	case !h.UTSMode.Valid():
		return invalid("invalid UTS mode: %.64s", h.UTSMode)
	case !h.UsernsMode.Valid():
		return invalid("invalid user namespace mode: %.64s", h.UsernsMode)
	case !h.CgroupnsMode.Valid():
		return invalid("invalid cgroup namespace mode: %.64s", h.CgroupnsMode)
	}
	spec.PidMode, spec.UTSMode, spec.CgroupnsMode = string(h.PidMode), string(h.UTSMode), string(h.CgroupnsMode)
	if h.IpcMode != container.IPCModePrivate {
		spec.IpcMode = string(h.IpcMode)
	}
	spec.UsernsMode, d.out.Asked.UsernsMode = string(h.UsernsMode), string(h.UsernsMode)
	return nil
}

// sysctls passes on kernel parameters that belong to a namespace of the
// container; the others are the node's.
func (d *creation) sysctls() error {
	given := d.asked.HostConfig.Sysctls
	for _, key := range sortedKeys(given) {
		if !namespaced(key) || strings.ContainsAny(given[key], "\x00\n") {
			return invalid("sysctl %q is not in a separate kernel namespace", clipKey(key))
		}
	}
	if len(given) > 0 {
		d.out.Spec.Sysctls = given
	}
	return nil
}

func namespaced(sysctl string) bool {
	if strings.ContainsAny(sysctl, "/\x00 \n") || strings.Contains(sysctl, "..") {
		return false
	}
	switch sysctl {
	case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
		"kernel.shmmni", "kernel.shm_rmid_forced":
		return true
	}
	return strings.HasPrefix(sysctl, "net.") || strings.HasPrefix(sysctl, "fs.mqueue.")
}
