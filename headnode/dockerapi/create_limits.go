package dockerapi

import (
	"strconv"
	"strings"

	"github.com/docker/go-units"

	"github.com/spearheadcloud/spearhead/model"
)

// leastMemory is what Docker lets a container have at least.
const leastMemory = 6 << 20

// limits decides how much memory, disk and how many processes there are.
func (d *creation) limits() error {
	h, l := d.asked.HostConfig, &d.out.Spec.Limits
	switch {
	case h.Memory < 0 || h.Memory > 0 && h.Memory < leastMemory:
		return invalid("Minimum memory limit allowed is 6MB")
	case h.MemorySwap < -1:
		return invalid("invalid value for HostConfig.MemorySwap: it is negative")
	case h.MemorySwap > 0 && h.Memory == 0:
		return invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
	case h.MemorySwap > 0 && h.MemorySwap < h.Memory:
		return invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
	case h.MemoryReservation < 0 || h.MemoryReservation > 0 && h.MemoryReservation < leastMemory:
		return invalid("Minimum memory reservation allowed is 6MB")
	case h.Memory > 0 && h.MemoryReservation > h.Memory:
		return invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
	case h.BlkioWeight > 0 && (h.BlkioWeight < 10 || h.BlkioWeight > 1000):
		return invalid("Range of blkio weight is from 10 to 1000")
	case h.OomScoreAdj < -1000 || h.OomScoreAdj > 1000:
		return invalid("Invalid value %d, range for oom score adj is [-1000, 1000]", h.OomScoreAdj)
	}
	l.Memory, l.MemorySwap, l.MemoryReservation, l.BlkioWeight = h.Memory, h.MemorySwap, h.MemoryReservation, h.BlkioWeight
	d.out.Spec.OomScoreAdj = h.OomScoreAdj
	l.OomKillDisable = h.OomKillDisable != nil && *h.OomKillDisable
	if h.PidsLimit != nil && *h.PidsLimit > 0 {
		l.Pids = *h.PidsLimit
	}
	d.refuse(h.MemorySwappiness != nil && *h.MemorySwappiness != -1, "HostConfig.MemorySwappiness")
	d.refuse(len(h.BlkioWeightDevice) > 0, "HostConfig.BlkioWeightDevice")
	d.refuse(len(h.BlkioDeviceReadBps) > 0, "HostConfig.BlkioDeviceReadBps")
	d.refuse(len(h.BlkioDeviceWriteBps) > 0, "HostConfig.BlkioDeviceWriteBps")
	d.refuse(len(h.BlkioDeviceReadIOps) > 0, "HostConfig.BlkioDeviceReadIOps")
	d.refuse(len(h.BlkioDeviceWriteIOps) > 0, "HostConfig.BlkioDeviceWriteIOps")
	d.refuse(h.IOMaximumIOps > 0, "HostConfig.IOMaximumIOps")
	d.refuse(h.IOMaximumBandwidth > 0, "HostConfig.IOMaximumBandwidth")
	return nil
}

// cpuPeriod is the period, in microseconds, that a number of CPUs is counted in.
const cpuPeriod = 100_000

func (d *creation) cpuLimits() error {
	h, l := d.asked.HostConfig, &d.out.Spec.Limits
	switch {
	case h.NanoCPUs < 0 || h.NanoCPUs > 0 && h.NanoCPUs < 10_000_000:
		return invalid("invalid value for HostConfig.NanoCpus: at least 0.01 CPUs are needed")
	case h.NanoCPUs > 1<<46:
		return invalid("invalid value for HostConfig.NanoCpus: no machine has so many CPUs")
	case h.NanoCPUs > 0 && h.CPUPeriod != 0:
		return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set")
	case h.NanoCPUs > 0 && h.CPUQuota != 0:
		return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
	case h.CPUPeriod != 0 && (h.CPUPeriod < 1000 || h.CPUPeriod > 1_000_000):
		return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
	case h.CPUQuota != 0 && h.CPUQuota != -1 && h.CPUQuota < 1000:
		return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
	case h.CPUShares < 0:
		return invalid("invalid value for HostConfig.CpuShares: it is negative")
	}
	for field, set := range map[string]string{"HostConfig.CpusetCpus": h.CpusetCpus, "HostConfig.CpusetMems": h.CpusetMems} {
		if !validCPUSet(set) {
			return invalid("Invalid value %.64s for %s", set, field)
		}
	}
	l.CPUShares, l.CPUPeriod, l.CPUQuota = h.CPUShares, h.CPUPeriod, max(h.CPUQuota, 0)
	l.CpusetCpus, l.CpusetMems = h.CpusetCpus, h.CpusetMems
	if h.NanoCPUs > 0 {
		l.CPUPeriod, l.CPUQuota = cpuPeriod, h.NanoCPUs/(1_000_000_000/cpuPeriod)
	}
	d.refuse(h.CPURealtimePeriod != 0, "HostConfig.CpuRealtimePeriod")
	d.refuse(h.CPURealtimeRuntime != 0, "HostConfig.CpuRealtimeRuntime")
	d.refuse(h.CPUCount != 0, "HostConfig.CpuCount")
	d.refuse(h.CPUPercent != 0, "HostConfig.CpuPercent")
	return nil
}

// validCPUSet reports whether text is a list of numbers and ranges, as in
// "0-3,5".
func validCPUSet(text string) bool {
	if text == "" {
		return true
	}
	for part := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		a, errA := strconv.ParseUint(low, 10, 13)
		b, errB := strconv.ParseUint(high, 10, 13)
		if errA != nil || errB != nil || a > b {
			return false
		}
	}
	return true
}

func (d *creation) ulimits() error {
	for _, u := range d.asked.HostConfig.Ulimits {
		if u == nil {
			return invalid("invalid value for HostConfig.Ulimits: an element is null")
		}
		switch u.Name {
		case "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
			"nproc", "rss", "rtprio", "rttime", "sigpending", "stack":
		default:
			return invalid("invalid ulimit type: %.32s", u.Name)
		}
		if u.Soft < -1 || u.Hard < -1 || u.Hard != -1 && (u.Soft == -1 || u.Soft > u.Hard) {
			return invalid("ulimit soft limit must be less than or equal to hard limit: %s: %d > %d", u.Name, u.Soft, u.Hard)
		}
		d.out.Spec.Limits.Ulimits = append(d.out.Spec.Limits.Ulimits, model.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	return nil
}

// storageOptions decides how large the container's root may grow.
func (d *creation) storageOptions() error {
	options := d.asked.HostConfig.StorageOpt
	for _, key := range sortedKeys(options) {
		if key != "size" {
			d.refuse(true, "HostConfig.StorageOpt["+strconv.Quote(clipKey(key))+"]")
			continue
		}
		size, err := units.RAMInBytes(options[key])
		if err != nil || size <= 0 {
			return invalid("invalid value for HostConfig.StorageOpt[\"size\"]: %.32q is not a size", options[key])
		}
		d.out.Spec.Limits.Disk = size
	}
	return nil
}
