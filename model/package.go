package model

// Package is a size of container that the operator offers.
type Package struct {
	Name      string `json:"name"`
	Memory    int64  `json:"memory"`            // bytes
	Swap      int64  `json:"swap,omitempty"`    // bytes beside memory
	CPUCap    int64  `json:"cpu_cap,omitempty"` // thousandths of a core; 0 is without cap
	CPUShares int64  `json:"cpu_shares,omitempty"`
	Disk      int64  `json:"disk,omitempty"` // bytes; 0 is without quota
	Pids      int64  `json:"pids,omitempty"`
	Active    bool   `json:"active"`
	Default   bool   `json:"default,omitempty"` // for containers that ask for no size
}
