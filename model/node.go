package model

import "time"

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
	Info       NodeInfo   `json:"info"`
	// JournalEpoch and JournalSeq are how far this node's journal has been
	// applied. A new epoch (a wiped disk) starts the sequence again.
	JournalEpoch string `json:"journal_epoch,omitempty"`
	JournalSeq   uint64 `json:"journal_seq,omitempty"`
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
	Storage         string    `json:"storage"`    // "overlay" or "zfs"
	DiskQuota       bool      `json:"disk_quota"` // the storage holds containers to Limits.Disk
	Runtime         string    `json:"runtime"`    // "crun 1.8.1"
	Init            string    `json:"init"`       // the init process for containers, "tini 0.19.0"; "" is none
	CgroupVersion   int       `json:"cgroup_version"`
	NICTags         []string  `json:"nic_tags,omitempty"`
	Seccomp         bool      `json:"seccomp"`
	Warnings        []string  `json:"warnings,omitempty"`
}

// NodeLoad is what an agent gossips of its machine: a hint that changes.
type NodeLoad struct {
	Sequence   uint64    `json:"sequence"`
	Free       Resources `json:"free"` // as the machine sees it, not what is unpromised
	Containers int       `json:"containers"`
	Running    int       `json:"running"`
	Load1      float64   `json:"load1"`
	Sampled    time.Time `json:"sampled"`
}
