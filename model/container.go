package model

import (
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// Container is one container as the replicated state knows it. Its identity,
// node and addresses are promised before it exists on a node; State is what
// the node's journal last said.
type Container struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"` // unique in the account, no leading slash
	AccountID string         `json:"account_id"`
	NodeID    string         `json:"node_id"`
	Created   time.Time      `json:"created"`
	Phase     Phase          `json:"phase"`
	Package   string         `json:"package"` // name of the package it was placed with
	Reserved  Resources      `json:"reserved"`
	Spec      ContainerSpec  `json:"spec"`
	NICs      []NIC          `json:"nics,omitempty"`
	State     ContainerState `json:"state"`
	// Operation is the id of the request that reserved the container; a
	// repeated request with the same id gets the same container.
	Operation string `json:"operation,omitempty"`
	// Update is one that is under way; Reserved then covers what holds before
	// it and after it.
	Update *PendingUpdate `json:"update,omitempty"`
	// Generation grows by one each time that the container moves to another
	// node: copies of an earlier one are void, wherever they are. Move is set
	// until the new node has it.
	Generation int   `json:"generation,omitempty"`
	Move       *Move `json:"move,omitempty"`
	// Transfer is a planned move that is under way, LastTransfer how the one
	// before it ended. Former are copies that are to be removed.
	Transfer     *Transfer    `json:"transfer,omitempty"`
	LastTransfer *TransferEnd `json:"last_transfer,omitempty"`
	Former       []FormerCopy `json:"former,omitempty"`
	// LinksStale says that Spec.Links changed since the node last heard of
	// them; it is told before the container starts again. NICsStale says the
	// same of NICs; it is told at once, or when it is back.
	LinksStale bool `json:"links_stale,omitempty"`
	NICsStale  bool `json:"nics_stale,omitempty"`
	// Leaving are NICs that the container is not to have any more, whose
	// addresses are nobody else's until the node has let them go.
	Leaving []NIC `json:"leaving,omitempty"`
	// GoneNetworks are networks that were removed while the container did not
	// run. It does not start before it has left them.
	GoneNetworks []GoneNetwork `json:"gone_networks,omitempty"`
	// Execs are the ids of execs that have not ended, the newest last.
	Execs []string `json:"execs,omitempty"`
	// DockerRequest is the create request in Docker's newest form, so that
	// inspect can return each field as it was asked for. Opaque below the API.
	DockerRequest []byte `json:"docker_request,omitempty"`
}

// GoneNetwork is what is left of a network to a container that was on it.
type GoneNetwork struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// PendingUpdate is an update of limits between its reservation and its end. A
// container has one at most.
type PendingUpdate struct {
	Operation string    `json:"operation"`
	Package   string    `json:"package"` // the container's when the update has succeeded
	Since     time.Time `json:"since"`
}

// Phase is how far a container's existence is agreed between head and node.
type Phase string

// A reserved container exists in the replicated state only; a created one
// exists on its node; a removing one is on its way out.
const (
	PhaseReserved Phase = "reserved"
	PhaseCreated  Phase = "created"
	PhaseRemoving Phase = "removing"
)

// Resources is what a container takes of a node: promised at placement,
// counted until it is removed.
type Resources struct {
	Memory int64 `json:"memory"` // bytes
	CPU    int64 `json:"cpu"`    // thousandths of a core
	Disk   int64 `json:"disk"`   // bytes
}

// Add returns the sum of r and o.
func (r Resources) Add(o Resources) Resources {
	return Resources{r.Memory + o.Memory, r.CPU + o.CPU, r.Disk + o.Disk}
}

// Status is the state of a container in Docker's words.
type Status string

// The statuses of a container.
const (
	StatusCreated    Status = "created"
	StatusRunning    Status = "running"
	StatusPaused     Status = "paused"
	StatusRestarting Status = "restarting"
	StatusRemoving   Status = "removing"
	StatusExited     Status = "exited"
	StatusDead       Status = "dead"
)

// Running reports whether a process of the container is alive.
func (s Status) Running() bool {
	return s == StatusRunning || s == StatusPaused
}

// ContainerState is what a node says about a container.
type ContainerState struct {
	Status       Status    `json:"status"`
	Pid          int       `json:"pid,omitempty"`
	ExitCode     int       `json:"exit_code"`
	ExitUnknown  bool      `json:"exit_unknown,omitempty"` // it ended unseen (machine crash); ExitCode is then 255
	OOMKilled    bool      `json:"oom_killed,omitempty"`
	Error        string    `json:"error,omitempty"`
	StartedAt    time.Time `json:"started_at"`
	FinishedAt   time.Time `json:"finished_at"`
	RestartCount int       `json:"restart_count,omitempty"`
	// Health is nil for a container without a health check.
	Health *Health `json:"health,omitempty"`
}

// ContainerSpec is everything a node needs to run a container: the request
// merged with the image's configuration. It is decided once, at create.
type ContainerSpec struct {
	Image       string `json:"image"`        // the reference as the user wrote it
	ImageID     string `json:"image_id"`     // sha256:… of the image's config
	ImageDigest string `json:"image_digest"` // sha256:… of its manifest

	Hostname   string            `json:"hostname"`
	Domainname string            `json:"domainname,omitempty"`
	User       string            `json:"user,omitempty"` // name or id, optionally ":group"
	WorkingDir string            `json:"working_dir,omitempty"`
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Cmd        []string          `json:"cmd,omitempty"`
	Env        []string          `json:"env,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`

	Tty        bool `json:"tty,omitempty"`
	OpenStdin  bool `json:"open_stdin,omitempty"`
	StdinOnce  bool `json:"stdin_once,omitempty"`
	AutoRemove bool `json:"auto_remove,omitempty"`
	// Init runs the command under an init process that reaps orphans and
	// passes signals on.
	Init            bool `json:"init,omitempty"`
	ReadonlyRootfs  bool `json:"readonly_rootfs,omitempty"`
	Privileged      bool `json:"privileged,omitempty"`
	NoNewPrivileges bool `json:"no_new_privileges,omitempty"`
	// ConsoleSize is that of the terminal from its first moment; nil leaves it
	// to the first resize. Only with Tty.
	ConsoleSize *TerminalSize `json:"console_size,omitempty"`
	StopSignal  string        `json:"stop_signal,omitempty"`  // name or number; "" is SIGTERM
	StopTimeout *int          `json:"stop_timeout,omitempty"` // seconds; nil is 10, negative waits for ever
	// Healthcheck is nil where there is none: neither asked for nor in the image.
	Healthcheck *Healthcheck `json:"healthcheck,omitempty"`
	Links       []Link       `json:"links,omitempty"`

	Restart RestartPolicy `json:"restart"`
	Limits  Limits        `json:"limits"`
	Log     LogConfig     `json:"log"`

	Network    string   `json:"network"` // "none", or names of networks are in NICs; "host"; "container:ID"
	DNS        []string `json:"dns,omitempty"`
	DNSSearch  []string `json:"dns_search,omitempty"`
	DNSOptions []string `json:"dns_options,omitempty"`
	ExtraHosts []string `json:"extra_hosts,omitempty"` // "name:address"
	Ports      []Port   `json:"ports,omitempty"`       // exposed by image or request, sorted

	Mounts  []Mount           `json:"mounts,omitempty"`
	Tmpfs   map[string]string `json:"tmpfs,omitempty"`    // path → mount options
	ShmSize int64             `json:"shm_size,omitempty"` // bytes; 0 is 64 MiB

	CapAdd       []string          `json:"cap_add,omitempty"`
	CapDrop      []string          `json:"cap_drop,omitempty"`
	Seccomp      string            `json:"seccomp,omitempty"` // "" is the default profile; "unconfined"; or a JSON profile
	GroupAdd     []string          `json:"group_add,omitempty"`
	Sysctls      map[string]string `json:"sysctls,omitempty"`
	Devices      []Device          `json:"devices,omitempty"`
	PidMode      string            `json:"pid_mode,omitempty"`      // "" private, "host", "container:ID"
	IpcMode      string            `json:"ipc_mode,omitempty"`      // "" private, "host", "none", "shareable", "container:ID"
	UTSMode      string            `json:"uts_mode,omitempty"`      // "" private, "host"
	CgroupnsMode string            `json:"cgroupns_mode,omitempty"` // "" the host's default, "private", "host"
	UsernsMode   string            `json:"userns_mode,omitempty"`   // "" the node's default, "host"
	CgroupParent string            `json:"cgroup_parent,omitempty"` // absolute path below the hierarchies; "" is the account's
	Umask        *uint32           `json:"umask,omitempty"`         // nil is 0022
	Annotations  map[string]string `json:"annotations,omitempty"`   // handed to the OCI runtime
	// DeviceCgroupRules are as in Docker: "c 1:3 rwm".
	DeviceCgroupRules []string  `json:"device_cgroup_rules,omitempty"`
	OomScoreAdj       int       `json:"oom_score_adj,omitempty"`
	MaskedPaths       *[]string `json:"masked_paths,omitempty"`   // nil is the default list
	ReadonlyPaths     *[]string `json:"readonly_paths,omitempty"` // nil is the default list
}

// TerminalSize is in characters.
type TerminalSize struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}

// Args is the command line that the container's first process gets.
func (s *ContainerSpec) Args() []string {
	return append(append([]string(nil), s.Entrypoint...), s.Cmd...)
}

// Joins are the ids of the containers in whose namespaces this one lives.
func (s *ContainerSpec) Joins() (ids []string) {
	for _, mode := range []string{s.Network, s.PidMode, s.IpcMode} {
		if id, joined := strings.CutPrefix(mode, "container:"); joined {
			ids = append(ids, id)
		}
	}
	return ids
}

// RestartPolicy says when a node starts an ended container again.
type RestartPolicy struct {
	Name       string `json:"name"`                  // "no" (also ""), "always", "unless-stopped", "on-failure"
	MaxRetries int    `json:"max_retries,omitempty"` // on-failure only; 0 is without limit
}

// Limits are enforced by the node's kernel. Zero is no limit of that sort.
type Limits struct {
	Memory            int64    `json:"memory,omitempty"`             // bytes
	MemorySwap        int64    `json:"memory_swap,omitempty"`        // bytes, memory and swap together; -1 is without limit
	MemoryReservation int64    `json:"memory_reservation,omitempty"` // bytes
	CPUShares         int64    `json:"cpu_shares,omitempty"`
	CPUQuota          int64    `json:"cpu_quota,omitempty"`  // microseconds a period
	CPUPeriod         int64    `json:"cpu_period,omitempty"` // microseconds
	NanoCPUs          int64    `json:"nano_cpus,omitempty"`  // what quota and period were asked for as, in billionths of a processor; only told, nobody acts on it
	CpusetCpus        string   `json:"cpuset_cpus,omitempty"`
	CpusetMems        string   `json:"cpuset_mems,omitempty"`
	Pids              int64    `json:"pids,omitempty"`
	BlkioWeight       uint16   `json:"blkio_weight,omitempty"` // 10–1000
	Disk              int64    `json:"disk,omitempty"`         // bytes of the root, where the storage can hold to it
	Ulimits           []Ulimit `json:"ulimits,omitempty"`
	OomKillDisable    bool     `json:"oom_kill_disable,omitempty"`

	MemorySwappiness   *int64       `json:"memory_swappiness,omitempty"`    // 0–100; nil is the node's
	CPURealtimePeriod  int64        `json:"cpu_realtime_period,omitempty"`  // microseconds
	CPURealtimeRuntime int64        `json:"cpu_realtime_runtime,omitempty"` // microseconds
	BlkioWeightDevice  []BlkioLimit `json:"blkio_weight_device,omitempty"`  // Rate is a weight, 10–1000
	BlkioReadBps       []BlkioLimit `json:"blkio_read_bps,omitempty"`       // Rate is in bytes a second
	BlkioWriteBps      []BlkioLimit `json:"blkio_write_bps,omitempty"`
	BlkioReadIOps      []BlkioLimit `json:"blkio_read_iops,omitempty"` // Rate is in requests a second
	BlkioWriteIOps     []BlkioLimit `json:"blkio_write_iops,omitempty"`
}

// usualCPUPeriod is the kernel's, in microseconds, where a limit names none.
const usualCPUPeriod = 100_000

// CPU is the quota of l in thousandths of a core; 0 is none.
func (l *Limits) CPU() int64 {
	if l.CPUQuota <= 0 {
		return 0
	}
	period := l.CPUPeriod
	if period <= 0 {
		period = usualCPUPeriod
	}
	return l.CPUQuota * 1000 / period
}

// Needs is what a container with the limits l takes of its node. Its disk is
// decided with the node and stays as it was reserved.
func (l *Limits) Needs(reserved Resources) Resources {
	return Resources{Memory: l.Memory, CPU: l.CPU(), Disk: reserved.Disk}
}

// BlkioLimit is a limit for one block device of the node.
type BlkioLimit struct {
	Path string `json:"path"` // of the device on the node
	Rate uint64 `json:"rate"`
}

// Ulimit is one resource limit of setrlimit(2), by its lower-case name
// without RLIMIT_.
type Ulimit struct {
	Name string `json:"name"`
	Soft int64  `json:"soft"`
	Hard int64  `json:"hard"`
}

// LogConfig says what happens to a container's output.
type LogConfig struct {
	Driver  string            `json:"driver"`            // "json-file", "local", "none", "syslog", "gelf", "fluentd"
	Options map[string]string `json:"options,omitempty"` // checked at create; see agent/logship for the remote drivers
}

// Mount is a file tree that a container sees besides its root.
type Mount struct {
	Type         string `json:"type"`             // "bind", "tmpfs", "volume"
	Source       string `json:"source,omitempty"` // bind: absolute path on the node; volume: its name
	Target       string `json:"target"`
	ReadOnly     bool   `json:"read_only,omitempty"`
	Propagation  string `json:"propagation,omitempty"`   // "" is rprivate
	CreateSource bool   `json:"create_source,omitempty"` // -v makes a missing source directory, --mount does not
	TmpfsSize    int64  `json:"tmpfs_size,omitempty"`    // bytes
	TmpfsMode    uint32 `json:"tmpfs_mode,omitempty"`
	VolumeID     string `json:"volume_id,omitempty"` // volume: decided when the container is reserved
	// Anonymous says that the volume was made for this mount: it goes with the
	// container where that is asked for.
	Anonymous bool   `json:"anonymous,omitempty"`
	NoCopy    bool   `json:"no_copy,omitempty"` // volume: stays empty though the image has files at Target
	Subpath   string `json:"subpath,omitempty"` // volume: the directory or file in it that is mounted; "" is all
}

// The types of mounts.
const (
	MountBind   = "bind"
	MountTmpfs  = "tmpfs"
	MountVolume = "volume"
)

// Device is a device of the node that a container may use.
type Device struct {
	PathOnHost      string `json:"path_on_host"`
	PathInContainer string `json:"path_in_container"`
	Permissions     string `json:"permissions"` // of r, w, m
}

// NIC is one interface of one container on one network.
type NIC struct {
	NetworkID string       `json:"network_id"`
	Interface string       `json:"interface"` // name inside of the container, eth0 …
	MAC       string       `json:"mac"`
	Address   netip.Prefix `json:"address"`           // with the subnet's length
	Gateway   netip.Addr   `json:"gateway"`           // invalid: the network has no way out
	Address6  netip.Prefix `json:"address6,omitzero"` // invalid: no IPv6
	Gateway6  netip.Addr   `json:"gateway6,omitzero"`
	Primary   bool         `json:"primary"` // holds the default route
	// Aliases are names besides the container's by which others on the network
	// find it.
	Aliases []string `json:"aliases,omitempty"`
	// Links are names that this container alone has for others on the network,
	// each as NAME:ALIAS, where NAME is what everybody finds the other by.
	Links []string `json:"links,omitempty"`
	// Firewall closes the NIC to what Ports, the account's own containers on
	// the network and rules do not let in. NICs of before there was one have
	// it off.
	Firewall bool `json:"firewall,omitempty"`
	// Ports are open to everybody.
	Ports []PortMap `json:"ports,omitempty"`
	// Rate is the most that the NIC sends, and that it is sent, in bits a
	// second; 0 is without limit.
	Rate int64 `json:"rate,omitempty"`
	// PoolID is the pool of networks that was asked for, if one was.
	PoolID string `json:"pool_id,omitempty"`
}

// PortMap opens a port of a NIC.
type PortMap struct {
	Protocol string `json:"protocol"` // tcp, udp, sctp
	Port     uint16 `json:"port"`     // what others connect to, on the NIC's own addresses
	Target   uint16 `json:"target"`   // what the container listens on; equal to Port unless it is mapped
}

var nameRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// CheckContainerName returns an error of KindInvalid, in Docker's words, if
// name cannot name a container. name has no leading slash.
func CheckContainerName(name string) error {
	if !nameRule.MatchString(name) || len(name) > 128 {
		return Errorf(KindInvalid, "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, 2 to 128 characters", clip(name))
	}
	return nil
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
