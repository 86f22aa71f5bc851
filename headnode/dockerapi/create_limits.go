package dockerapi

import (
	"strconv"

	"github.com/docker/go-units"

	"github.com/spearheadcloud/spearhead/model"
)

// limits decides how much memory, processor time, disk and how many processes
// there are.
func (d *creation) limits() error {
	h, l := d.asked.HostConfig, &d.out.Spec.Limits
	if err := checkResources(&h.Resources); err != nil {
		return err
	}
	if err := setLimits(l, &h.Resources); err != nil {
		return err
	}
	if h.OomScoreAdj < -1000 || h.OomScoreAdj > 1000 {
		return invalid("Invalid value %d, range for oom score adj is [-1000, 1000]", h.OomScoreAdj)
	}
	d.out.Spec.OomScoreAdj = h.OomScoreAdj
	l.OomKillDisable = h.OomKillDisable != nil && *h.OomKillDisable
	if h.MemorySwappiness != nil && *h.MemorySwappiness != -1 {
		l.MemorySwappiness = h.MemorySwappiness
	}
	d.refuse(h.IOMaximumIOps > 0, "HostConfig.IOMaximumIOps")
	d.refuse(h.IOMaximumBandwidth > 0, "HostConfig.IOMaximumBandwidth")
	d.refuse(h.CPUCount != 0, "HostConfig.CpuCount")
	d.refuse(h.CPUPercent != 0, "HostConfig.CpuPercent")
	return nil
}

func (d *creation) ulimits() error {
	seen := map[string]bool{}
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
		if seen[u.Name] {
			return invalid("invalid value for HostConfig.Ulimits: %s is there twice", u.Name)
		}
		seen[u.Name] = true
		d.out.Spec.Limits.Ulimits = append(d.out.Spec.Limits.Ulimits, model.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	return nil
}

// leastDisk is room for what every container gets of its own.
const leastDisk = 1 << 20

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
		if size < leastDisk {
			return invalid("invalid value for HostConfig.StorageOpt[\"size\"]: %.32q: a container's disk has at least %d bytes", options[key], leastDisk)
		}
		d.out.Spec.Limits.Disk = size
	}
	return nil
}
