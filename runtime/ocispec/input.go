package ocispec

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
)

// Input is all that a specification is made of.
type Input struct {
	ID     string
	Spec   *model.ContainerSpec
	Rootfs string // absolute path of the mounted root
	// Netns is the path of the network namespace to join; "" makes a new one,
	// "host" keeps the node's.
	Netns string
	// Hostname, Hosts and ResolvConf are files to bind over /etc/hostname,
	// /etc/hosts and /etc/resolv.conf; "" binds none.
	Hostname, Hosts, ResolvConf string
	// PidNamespace and IpcNamespace are paths of namespaces of another
	// container that Spec joins.
	PidNamespace, IpcNamespace string
	User                       User
	Host                       Host
	CgroupsPath                string // absolute, below each hierarchy's root; Spec.CgroupParent goes before it
	// Seccomp is the resolved profile, nil for none. SeccompProgram, when not
	// "", is the same compiled, in base64, and goes in its place.
	Seccomp        *specs.LinuxSeccomp
	SeccompProgram string
	// Devices are those of the node that Spec.Devices names, or all of them
	// for a privileged container.
	Devices []Device
	// BlockDevices has the numbers of those that Spec.Limits names, by path.
	BlockDevices map[string]BlockDevice
	// Init is the path on the node of a statically linked init process, ""
	// where there is none.
	Init string
}

// BlockDevice is the number of a whole disk of the node.
type BlockDevice struct {
	Major, Minor int64
}

// User is who the first process runs as, resolved in the container's root.
type User struct {
	UID, GID uint32
	Groups   []uint32 // additional ones, GID among them
	Home     string   // "" is /
}

// Host is what the node's kernel can do.
type Host struct {
	CgroupVersion int      // 1 or 2
	Capabilities  []string // all that the node can give, as CAP_…
	// MissingControllers are controllers of control groups that the kernel does
	// not have for containers: of memory, cpu, cpuset, pids, io.
	MissingControllers []string
	SwapLimit          bool // swap can be limited
	BlkioWeight        bool // I/O has weights
	CPURealtime        bool // real-time CPU time is shared out among control groups
	// MaskedPaths are hidden beside the usual ones, because they exist here.
	MaskedPaths []string
	// FileLimit is RLIMIT_NOFILE for containers that ask for none; 0 leaves it.
	FileLimit uint64
}

// Device is a device of the node, as it is to appear in the container.
type Device struct {
	Path         string // in the container
	Type         string // "c" or "b"
	Major, Minor int64
	Mode         uint32 // permission bits
	UID, GID     uint32
	Access       string // of r, w, m
}
