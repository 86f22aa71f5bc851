package dockerapi

import (
	"slices"
	"strconv"

	"github.com/docker/go-units"

	"github.com/spearheadcloud/spearhead/model"
)

// Names of drivers that mean the one that there is: Docker's, and that of
// Triton's users.
var volumeDrivers = []string{"", model.VolumeDriver, "tritonnfs"}

// leastVolume is the smallest size that a volume can have: file systems need
// some of it for themselves. mostVolume is the largest one that can be promised.
const (
	leastVolume = 1 << 20
	mostVolume  = 1 << 60
)

// newVolume checks what is asked of a new volume. An empty name is one that the
// caller chooses. Node and account are not decided here.
func newVolume(name, driver string, options, labels map[string]string) (model.Volume, error) {
	v := model.Volume{Name: name, Driver: model.VolumeDriver}
	if name != "" {
		if err := model.CheckVolumeName(name); err != nil {
			return v, err
		}
	}
	if !slices.Contains(volumeDrivers, driver) {
		return v, invalid("create %.64s: error looking up volume plugin %.64s: plugin %q not found; this data center has %s", name, driver, clipKey(driver), model.VolumeDriver)
	}
	for _, option := range sortedKeys(options) {
		value := options[option]
		switch option {
		case "size":
			size, err := volumeSize(value)
			if err != nil {
				return v, err
			}
			v.Size = size
		case "shared":
			if shared, err := strconv.ParseBool(value); err != nil || shared {
				return v, invalid("create %.64s: invalid option: \"shared\": a volume is on one node, and is not shared across nodes; leave the option out", name)
			}
		default:
			return v, invalid("create %.64s: invalid option: %q; the option size is known", name, clipKey(option))
		}
	}
	if len(options) > 0 {
		v.Options = options
	}
	if len(labels) > 0 {
		v.Labels = labels
	}
	return v, nil
}

// volumeSize reads a size with Docker's units, 512m or 10G, of 1024 each.
func volumeSize(text string) (int64, error) {
	size, err := units.RAMInBytes(text)
	if err != nil {
		return 0, invalid("invalid size: '%.64s'; use a number with a unit, such as 512m or 10G", text)
	}
	if size < 0 || size > mostVolume { // no text that can be read is of a negative number: it is too large for an int64
		return 0, invalid("invalid size: '%.64s': a volume has at most 1EiB", text)
	}
	if size < leastVolume {
		return 0, invalid("invalid size: '%.64s': a volume has at least 1MiB", text)
	}
	return size, nil
}
