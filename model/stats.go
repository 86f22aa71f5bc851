package model

import "time"

// Stats is what a running container uses, as its node's kernel counts it, the
// same for both versions of cgroups. Counters only grow, from the container's
// start on; times are in nanoseconds.
type Stats struct {
	Read          time.Time `json:"read"` // when it was sampled
	CgroupVersion int       `json:"cgroup_version"`
	CPU           CPUStats  `json:"cpu"`
	Memory        MemStats  `json:"memory"`
	Pids          PidsStats `json:"pids"`
	Blkio         BlkStats  `json:"blkio"`
	// Networks has the counters of each interface by its name in the
	// container; nil for one that shares the node's or another's.
	Networks map[string]NetStats `json:"networks,omitempty"`
}

// CPUStats is time on processors.
type CPUStats struct {
	Total            uint64   `json:"total"`
	User             uint64   `json:"user"`
	Kernel           uint64   `json:"kernel"`
	PerCPU           []uint64 `json:"per_cpu,omitempty"` // version 1 only
	System           uint64   `json:"system"`            // of the whole node, idle time included
	Online           int      `json:"online"`            // processors of the node
	Periods          uint64   `json:"periods,omitempty"`
	ThrottledPeriods uint64   `json:"throttled_periods,omitempty"`
	ThrottledTime    uint64   `json:"throttled_time,omitempty"`
}

// MemStats is memory in bytes. Detail holds the kernel's own names and numbers
// (memory.stat).
type MemStats struct {
	Usage     uint64            `json:"usage"`
	MaxUsage  uint64            `json:"max_usage,omitempty"` // version 1 only
	FailCount uint64            `json:"fail_count,omitempty"`
	Limit     uint64            `json:"limit"` // the container's, or the node's memory where it has none
	Detail    map[string]uint64 `json:"detail,omitempty"`
}

// PidsStats counts processes and threads. Limit 0 is none.
type PidsStats struct {
	Current uint64 `json:"current"`
	Limit   uint64 `json:"limit,omitempty"`
}

// BlkStats is traffic with block devices.
type BlkStats struct {
	Bytes    []BlkEntry `json:"bytes,omitempty"`
	Requests []BlkEntry `json:"requests,omitempty"`
}

// BlkEntry is one counter of one device. Op is read, write, sync, async,
// discard or total, as the node's kernel tells them.
type BlkEntry struct {
	Major uint64 `json:"major"`
	Minor uint64 `json:"minor"`
	Op    string `json:"op"`
	Value uint64 `json:"value"`
}

// NetStats is traffic of one interface, as the container sees it.
type NetStats struct {
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	RxErrors  uint64 `json:"rx_errors"`
	RxDropped uint64 `json:"rx_dropped"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxErrors  uint64 `json:"tx_errors"`
	TxDropped uint64 `json:"tx_dropped"`
}
