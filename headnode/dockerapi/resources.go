package dockerapi

import (
	"path"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/model"
)

// leastMemory is what Docker lets a container have at least.
const leastMemory = 6 << 20

// cpuPeriod is the period, in microseconds, that a number of CPUs is counted in.
const cpuPeriod = 100_000

// maxCPUQuota, in microseconds, is more than the kernel has use for, and so
// little that the number of CPUs can be worked out from it.
const maxCPUQuota = 1 << 40

// checkResources refuses limits that no container can have, in Docker's words.
func checkResources(r *container.Resources) error {
	for _, check := range []func(*container.Resources) error{checkMemory, checkCPUs, checkBlkio} {
		if err := check(r); err != nil {
			return err
		}
	}
	return nil
}

// setLimits puts what is asked for, once it is checked, over the limits that
// hold, those of a new container being none. Zero leaves a limit as it is, and
// so does a missing list.
func setLimits(l *model.Limits, r *container.Resources) error {
	if err := setMemory(l, r); err != nil {
		return err
	}
	if err := setCPUs(l, r); err != nil {
		return err
	}
	if r.PidsLimit != nil {
		l.Pids = max(*r.PidsLimit, -1)
	}
	set(&l.BlkioWeight, r.BlkioWeight)
	if r.BlkioWeightDevice != nil {
		l.BlkioWeightDevice = weights(r.BlkioWeightDevice)
	}
	for _, device := range throttles(l, r) {
		if *device.asked != nil {
			*device.limit = rates(*device.asked)
		}
	}
	return nil
}

// set changes a limit, unless zero is asked for, which changes nothing.
func set[T comparable](limit *T, asked T) {
	var zero T
	if asked != zero {
		*limit = asked
	}
}

func checkMemory(r *container.Resources) error {
	switch {
	case r.Memory < 0 || r.Memory > 0 && r.Memory < leastMemory:
		return invalid("Minimum memory limit allowed is 6MB")
	case r.MemorySwap < -1:
		return invalid("invalid value for HostConfig.MemorySwap: use a number of bytes, or -1 for no limit")
	case r.MemoryReservation < 0 || r.MemoryReservation > 0 && r.MemoryReservation < leastMemory:
		return invalid("Minimum memory reservation allowed is 6MB")
	case r.MemorySwappiness != nil && (*r.MemorySwappiness < -1 || *r.MemorySwappiness > 100):
		return invalid("Invalid value: %d, valid memory swappiness range is 0-100", *r.MemorySwappiness)
	}
	return nil
}

// setMemory checks the limits of memory together once they are set.
func setMemory(l *model.Limits, r *container.Resources) error {
	if r.Memory > 0 && r.MemorySwap == 0 && l.MemorySwap > 0 && r.Memory > l.MemorySwap {
		return invalid("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
	}
	set(&l.Memory, r.Memory)
	set(&l.MemorySwap, r.MemorySwap)
	set(&l.MemoryReservation, r.MemoryReservation)
	switch {
	case l.MemorySwap > 0 && l.Memory == 0:
		return invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
	case l.MemorySwap > 0 && l.MemorySwap < l.Memory:
		return invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
	case l.Memory > 0 && l.MemoryReservation > l.Memory:
		return invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
	}
	return nil
}

func checkCPUs(r *container.Resources) error {
	switch {
	case r.NanoCPUs < 0 || r.NanoCPUs > 0 && r.NanoCPUs < 10_000_000:
		return invalid("invalid value for HostConfig.NanoCpus: at least 0.01 CPUs are needed")
	case r.NanoCPUs > 1<<46:
		return invalid("invalid value for HostConfig.NanoCpus: no machine has so many CPUs")
	case r.NanoCPUs > 0 && r.CPUPeriod != 0:
		return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set")
	case r.NanoCPUs > 0 && r.CPUQuota != 0:
		return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
	case r.CPUPeriod != 0 && (r.CPUPeriod < 1000 || r.CPUPeriod > 1_000_000):
		return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
	case r.CPUQuota != 0 && r.CPUQuota != -1 && r.CPUQuota < 1000:
		return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
	case r.CPUQuota > maxCPUQuota:
		return invalid("invalid value for HostConfig.CpuQuota: no machine has so many CPUs")
	case r.CPUShares < 0:
		return invalid("invalid value for HostConfig.CpuShares: it is negative")
	case r.CPUShares > model.MaxCPUShares:
		return invalid("invalid value for HostConfig.CpuShares: the maximum allowed cpu-shares is %d", model.MaxCPUShares)
	case r.CPURealtimePeriod < 0 || r.CPURealtimeRuntime < 0:
		return invalid("invalid value for HostConfig.CpuRealtimePeriod or HostConfig.CpuRealtimeRuntime: it is negative")
	case r.CPURealtimePeriod != 0 && r.CPURealtimeRuntime > r.CPURealtimePeriod:
		return invalid("cpu real-time runtime cannot be higher than cpu real-time period")
	case !validCPUSet(r.CpusetCpus):
		return invalid("Invalid value %.64s for cpuset cpus (HostConfig.CpusetCpus)", r.CpusetCpus)
	case !validCPUSet(r.CpusetMems):
		return invalid("Invalid value %.64s for cpuset mems (HostConfig.CpusetMems)", r.CpusetMems)
	}
	return nil
}

// setCPUs keeps to the form in which processors were first asked for, a number
// of them or a quota, as Docker does.
func setCPUs(l *model.Limits, r *container.Resources) error {
	plain := l.NanoCPUs == 0
	switch {
	case r.NanoCPUs > 0 && plain && l.CPUPeriod > 0:
		return invalid("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set")
	case r.NanoCPUs > 0 && plain && l.CPUQuota > 0:
		return invalid("Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set")
	case r.CPUPeriod != 0 && !plain:
		return invalid("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set")
	case r.CPUQuota != 0 && !plain:
		return invalid("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set")
	}
	set(&l.CPUShares, r.CPUShares)
	set(&l.CPUPeriod, r.CPUPeriod)
	if r.CPUQuota != 0 {
		l.CPUQuota = max(r.CPUQuota, 0) // -1 is no limit
	}
	if r.NanoCPUs > 0 {
		l.NanoCPUs, l.CPUPeriod, l.CPUQuota = r.NanoCPUs, cpuPeriod, r.NanoCPUs/(1_000_000_000/cpuPeriod)
	}
	set(&l.CPURealtimePeriod, r.CPURealtimePeriod)
	set(&l.CPURealtimeRuntime, r.CPURealtimeRuntime)
	set(&l.CpusetCpus, r.CpusetCpus)
	set(&l.CpusetMems, r.CpusetMems)
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

// throttle is one list of rates, as asked for and as it holds.
type throttle struct {
	field string
	asked *[]*blkiodev.ThrottleDevice
	limit *[]model.BlkioLimit
}

func throttles(l *model.Limits, r *container.Resources) []throttle {
	return []throttle{
		{"BlkioDeviceReadBps", &r.BlkioDeviceReadBps, &l.BlkioReadBps},
		{"BlkioDeviceWriteBps", &r.BlkioDeviceWriteBps, &l.BlkioWriteBps},
		{"BlkioDeviceReadIOps", &r.BlkioDeviceReadIOps, &l.BlkioReadIOps},
		{"BlkioDeviceWriteIOps", &r.BlkioDeviceWriteIOps, &l.BlkioWriteIOps},
	}
}

func checkBlkio(r *container.Resources) error {
	if r.BlkioWeight != 0 && !validWeight(r.BlkioWeight) {
		return invalid("Range of blkio weight is from 10 to 1000")
	}
	for _, d := range r.BlkioWeightDevice {
		if d == nil || !validDevice(d.Path) {
			return invalid("invalid value for HostConfig.BlkioWeightDevice: each needs the absolute path of a device")
		}
		if !validWeight(d.Weight) {
			return invalid("invalid value for HostConfig.BlkioWeightDevice: Range of blkio weight is from 10 to 1000")
		}
	}
	for _, device := range throttles(&model.Limits{}, r) {
		for _, d := range *device.asked {
			if d == nil || !validDevice(d.Path) {
				return invalid("invalid value for HostConfig.%s: each needs the absolute path of a device", device.field)
			}
		}
	}
	return nil
}

func validWeight(w uint16) bool { return w >= 10 && w <= 1000 }

func validDevice(p string) bool { return path.IsAbs(p) && !strings.ContainsRune(p, 0) }

func weights(from []*blkiodev.WeightDevice) []model.BlkioLimit {
	var limits []model.BlkioLimit
	for _, d := range from {
		limits = append(limits, model.BlkioLimit{Path: path.Clean(d.Path), Rate: uint64(d.Weight)})
	}
	return limits
}

func rates(from []*blkiodev.ThrottleDevice) []model.BlkioLimit {
	var limits []model.BlkioLimit
	for _, d := range from {
		limits = append(limits, model.BlkioLimit{Path: path.Clean(d.Path), Rate: d.Rate})
	}
	return limits
}
