package ocispec

import (
	"math"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
)

// Resources translates limits, all but ulimits and the disk's. What is not
// limited is nil. devices has the numbers of the devices that l names. An
// error is of KindInvalid: a limit that the node's kernel would not keep.
func Resources(l *model.Limits, host Host, devices map[string]BlockDevice) (*specs.LinuxResources, error) {
	if err := checkLimits(l, host); err != nil {
		return nil, err
	}
	r := &specs.LinuxResources{Memory: memory(l, host), CPU: cpu(l, host)}
	if l.Pids > 0 {
		r.Pids = &specs.LinuxPids{Limit: &l.Pids}
	}
	if host.CgroupVersion == 2 && l.CPUShares != 0 {
		r.Unified = map[string]string{"cpu.weight": strconv.FormatUint(CPUWeight(l.CPUShares), 10)}
	}
	var err error
	r.BlockIO, err = blockIO(l, devices)
	return r, err
}

// CPUWeight is the weight of version 2 of control groups that stands for
// shares of version 1: 2, 1024 and 262144 become 1, 100 and 10000, the
// default and both ends of either, and a parabola over their logarithms joins
// them. OCI runtimes differ in that, so they are given weights.
func CPUWeight(shares int64) uint64 {
	shares = min(max(shares, 2), 1<<18)
	l := math.Log2(float64(shares))
	return min(uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34))), 10000)
}

// checkLimits refuses limits that the kernel would not keep.
func checkLimits(l *model.Limits, host Host) error {
	limitsMemory := l.Memory > 0 || l.MemoryReservation > 0 || l.OomKillDisable || l.MemorySwappiness != nil
	for _, limit := range []struct {
		asked      bool
		what       string
		controller string
	}{
		{limitsMemory, "memory", "memory"},
		{l.CPUShares != 0 || l.CPUQuota != 0 || l.CPUPeriod != 0, "CPU time", "cpu"},
		{l.CPURealtimePeriod != 0 || l.CPURealtimeRuntime != 0, "CPU time", "cpu"},
		{l.CpusetCpus != "" || l.CpusetMems != "", "the set of CPUs", "cpuset"},
		{l.Pids > 0, "processes", "pids"},
		{l.BlkioWeight > 0 || len(throttles(l))+len(l.BlkioWeightDevice) > 0, "I/O", "io"},
	} {
		if limit.asked && slices.Contains(host.MissingControllers, limit.controller) {
			return model.Errorf(model.KindInvalid, "cannot limit %s: the node has no %s controller of control groups; ask for no such limit, or the operator for the controller", limit.what, limit.controller)
		}
	}
	swappiness := l.MemorySwappiness
	switch {
	case l.OomKillDisable && host.CgroupVersion == 2:
		return model.Errorf(model.KindInvalid, "OomKillDisable is not possible with version 2 of control groups")
	case swappiness != nil && host.CgroupVersion == 2:
		return model.Errorf(model.KindInvalid, "MemorySwappiness is not possible with version 2 of control groups")
	case swappiness != nil && (*swappiness < 0 || *swappiness > 100):
		return model.Errorf(model.KindInvalid, "Invalid value: %d, valid memory swappiness range is 0-100", *swappiness)
	case (l.CPURealtimePeriod != 0 || l.CPURealtimeRuntime != 0) && !host.CPURealtime:
		return model.Errorf(model.KindInvalid, "CPURealtimePeriod and CPURealtimeRuntime are not possible: the node's kernel shares out no real-time CPU time")
	case l.CPURealtimePeriod != 0 && l.CPURealtimeRuntime > l.CPURealtimePeriod:
		return model.Errorf(model.KindInvalid, "cpu real-time runtime cannot be higher than cpu real-time period")
	case (l.BlkioWeight > 0 || len(l.BlkioWeightDevice) > 0) && !host.BlkioWeight:
		return model.Errorf(model.KindInvalid, "BlkioWeight is not possible: the node's kernel has no I/O weights")
	}
	return nil
}

// memory limits memory and, where the kernel can, swap: to as much again as
// the memory, unless something else is asked for, as Docker does.
func memory(l *model.Limits, host Host) *specs.LinuxMemory {
	m := specs.LinuxMemory{}
	if l.Memory > 0 {
		m.Limit = &l.Memory
		swap := l.MemorySwap
		if swap == 0 {
			swap = 2 * l.Memory
		}
		if host.SwapLimit {
			m.Swap = &swap
		}
	}
	if l.MemoryReservation > 0 {
		m.Reservation = &l.MemoryReservation
	}
	if l.OomKillDisable {
		m.DisableOOMKiller = &l.OomKillDisable
	}
	if l.MemorySwappiness != nil {
		swappiness := uint64(*l.MemorySwappiness)
		m.Swappiness = &swappiness
	}
	if m == (specs.LinuxMemory{}) {
		return nil
	}
	return &m
}

func cpu(l *model.Limits, host Host) *specs.LinuxCPU {
	c := specs.LinuxCPU{Cpus: l.CpusetCpus, Mems: l.CpusetMems}
	if l.CPUShares != 0 && host.CgroupVersion == 1 {
		shares := uint64(l.CPUShares)
		c.Shares = &shares
	}
	if l.CPUQuota != 0 {
		c.Quota = &l.CPUQuota
	}
	if l.CPUPeriod != 0 {
		period := uint64(l.CPUPeriod)
		c.Period = &period
	}
	if l.CPURealtimePeriod != 0 {
		period := uint64(l.CPURealtimePeriod)
		c.RealtimePeriod = &period
	}
	if l.CPURealtimeRuntime != 0 {
		c.RealtimeRuntime = &l.CPURealtimeRuntime
	}
	if c == (specs.LinuxCPU{}) {
		return nil
	}
	return &c
}

// throttles are the limits of rates of block devices, of all four kinds.
func throttles(l *model.Limits) []model.BlkioLimit {
	return slices.Concat(l.BlkioReadBps, l.BlkioWriteBps, l.BlkioReadIOps, l.BlkioWriteIOps)
}

func blockIO(l *model.Limits, devices map[string]BlockDevice) (*specs.LinuxBlockIO, error) {
	if l.BlkioWeight == 0 && len(throttles(l))+len(l.BlkioWeightDevice) == 0 {
		return nil, nil
	}
	b := &specs.LinuxBlockIO{}
	if l.BlkioWeight > 0 {
		if l.BlkioWeight < 10 || l.BlkioWeight > 1000 {
			return nil, model.Errorf(model.KindInvalid, "Range of blkio weight is from 10 to 1000")
		}
		b.Weight = &l.BlkioWeight
	}
	for _, limit := range l.BlkioWeightDevice {
		d, err := findBlockDevice(devices, limit.Path)
		if err != nil {
			return nil, err
		}
		if limit.Rate < 10 || limit.Rate > 1000 {
			return nil, model.Errorf(model.KindInvalid, "Range of blkio weight is from 10 to 1000: %d for %.100s", limit.Rate, limit.Path)
		}
		weight := uint16(limit.Rate)
		w := specs.LinuxWeightDevice{Weight: &weight}
		w.Major, w.Minor = d.Major, d.Minor
		b.WeightDevice = append(b.WeightDevice, w)
	}
	for _, kind := range []struct {
		from []model.BlkioLimit
		to   *[]specs.LinuxThrottleDevice
	}{
		{l.BlkioReadBps, &b.ThrottleReadBpsDevice}, {l.BlkioWriteBps, &b.ThrottleWriteBpsDevice},
		{l.BlkioReadIOps, &b.ThrottleReadIOPSDevice}, {l.BlkioWriteIOps, &b.ThrottleWriteIOPSDevice},
	} {
		for _, limit := range kind.from {
			d, err := findBlockDevice(devices, limit.Path)
			if err != nil {
				return nil, err
			}
			t := specs.LinuxThrottleDevice{Rate: limit.Rate}
			t.Major, t.Minor = d.Major, d.Minor
			*kind.to = append(*kind.to, t)
		}
	}
	return b, nil
}

func findBlockDevice(devices map[string]BlockDevice, path string) (BlockDevice, error) {
	d, ok := devices[path]
	if !ok {
		return d, model.Errorf(model.KindInvalid, "cannot limit I/O of %.100s: the node has no such block device", path)
	}
	return d, nil
}
