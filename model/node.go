package model

import (
	"net/netip"
	"time"
)

// Node is a compute node as the replicated state knows it.
type Node struct {
	ID       string            `json:"id"`      // of its certificate
	Name     string            `json:"name"`    // its host name
	Address  string            `json:"address"` // host:port where its agent serves wire
	Approved bool              `json:"approved"`
	Cordoned bool              `json:"cordoned,omitempty"`
	Joined   time.Time         `json:"joined"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Overcommit multiplies the capacity that may be promised. A zero ratio
	// is the default: memory 1, CPU 4, disk 1.
	Overcommit Overcommit `json:"overcommit"`
	// Rack and Zone say where the machine stands; "" is not known.
	Rack string `json:"rack,omitempty"`
	Zone string `json:"zone,omitempty"`
	// Traits are what containers may ask for that not every node has.
	Traits []string `json:"traits,omitempty"`
	// Reservoir nodes are filled last.
	Reservoir bool `json:"reservoir,omitempty"`
	// MaxContainers bounds the containers on the node; 0 is no bound.
	MaxContainers int `json:"max_containers,omitempty"`
	// Owners are the ids of the accounts whose containers the node takes; none
	// is everybody's.
	Owners []string `json:"owners,omitempty"`
	// Lost is an operator's word that the machine does not come back: what
	// ran on it counts as ended. Nothing is placed on it.
	Lost bool     `json:"lost,omitempty"`
	Info NodeInfo `json:"info"`
	// Inventory is what the machine said of its hardware when it joined; nil
	// for one that was enrolled by hand.
	Inventory *Inventory `json:"inventory,omitempty"`
	// JournalEpoch and JournalSeq are how far this node's journal has been
	// applied. A new epoch (a wiped disk) starts the sequence again.
	JournalEpoch string `json:"journal_epoch,omitempty"`
	JournalSeq   uint64 `json:"journal_seq,omitempty"`
}

// NodeChange is what an operator changes of a node. Only what is set changes.
type NodeChange struct {
	Address       *string     `json:"address,omitempty"` // host:port
	Approved      *bool       `json:"approved,omitempty"`
	Cordoned      *bool       `json:"cordoned,omitempty"`
	Lost          *bool       `json:"lost,omitempty"`
	Reservoir     *bool       `json:"reservoir,omitempty"`
	Rack          *string     `json:"rack,omitempty"`
	Zone          *string     `json:"zone,omitempty"`
	MaxContainers *int        `json:"max_containers,omitempty"`
	Overcommit    *Overcommit `json:"overcommit,omitempty"`
	// Traits take the place of all that the node had.
	Traits *[]string `json:"traits,omitempty"`
	// Owners take the place of all that the node had. To an operator's head
	// they are logins.
	Owners *[]string `json:"owners,omitempty"`
	// SetLabels are added to the labels, or replace those of the same name;
	// DropLabels are taken away.
	SetLabels  map[string]string `json:"set_labels,omitempty"`
	DropLabels []string          `json:"drop_labels,omitempty"`
}

// Overcommit holds ratios of what may be promised to what is there.
type Overcommit struct {
	Memory float64 `json:"memory,omitempty"`
	CPU    float64 `json:"cpu,omitempty"`
	Disk   float64 `json:"disk,omitempty"`
}

// NodeInfo is what an agent says of its machine: fixed while it runs.
type NodeInfo struct {
	Hostname        string    `json:"hostname"`
	Version         string    `json:"version"` // of Spearhead
	Kernel          string    `json:"kernel"`
	OperatingSystem string    `json:"operating_system"`
	Architecture    string    `json:"architecture"` // GOARCH
	CPUs            int       `json:"cpus"`
	Capacity        Resources `json:"capacity"`
	Storage         string    `json:"storage"`                // "overlay" or "zfs"
	DiskQuota       bool      `json:"disk_quota"`             // the storage holds containers to Limits.Disk
	VolumeQuota     bool      `json:"volume_quota,omitempty"` // the storage holds volumes to their size
	Runtime         string    `json:"runtime"`                // "crun 1.8.1"
	Init            string    `json:"init"`                   // the init process for containers, "tini 0.19.0"; "" is none
	CgroupVersion   int       `json:"cgroup_version"`
	NICTags         []string  `json:"nic_tags,omitempty"`
	// Underlay is where fabrics of other nodes reach this one; invalid offers none.
	Underlay netip.Addr `json:"underlay,omitzero"`
	Seccomp  bool       `json:"seccomp"`
	// StopAfter is how long the node may be cut off from the data center before
	// it stops what may be started elsewhere; 0 is a node that does not.
	StopAfter      time.Duration `json:"stop_after,omitempty"`
	Warnings       []string      `json:"warnings,omitempty"`
	MetricsAddress string        `json:"metrics_address,omitempty"` // host:port of its numbers for Prometheus; "" is none
}

// NodeLoad is what an agent gossips of its machine: a hint that changes.
type NodeLoad struct {
	Sequence   uint64    `json:"sequence"`
	Free       Resources `json:"free"` // as the machine sees it, not what is unpromised
	Containers int       `json:"containers"`
	Running    int       `json:"running"`
	Load1      float64   `json:"load1"`
	Sampled    time.Time `json:"sampled"`
	// Storage is what keeps the node from putting anything new on its storage.
	Storage StorageFault `json:"storage,omitempty"`
}

// StorageFault is what is wrong with a node's storage, in words that follow
// "its storage"; "" is nothing.
type StorageFault string

// The faults of storage.
const (
	StorageFull      StorageFault = "is full"
	StorageSuspended StorageFault = "is suspended, because its disks fail"
	StorageSilent    StorageFault = "does not answer"
)
