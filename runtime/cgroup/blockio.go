package cgroup

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// blockIO plans weights and rates. Devices that were limited and are not named
// any more are set free.
func (g Group) blockIO(b *specs.LinuxBlockIO) []*step {
	if b == nil {
		b = &specs.LinuxBlockIO{}
	}
	if g.Version == 1 {
		return append(g.weights1(b), g.rates1(b)...)
	}
	return append(g.weights2(b), g.rates2(b)...)
}

// deviceSteps turns a file of lines "8:0 VALUE" from what it says to wanted.
// free is the value of a device without limit.
func deviceSteps(field, path string, wanted map[string]string, free string) (plan []*step) {
	now := map[string]string{}
	if text, err := read(path); err == nil {
		for line := range strings.Lines(text) {
			device, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if _, _, ok := deviceNumbers(device); ok {
				now[device] = value
			}
		}
	}
	all := maps.Clone(now)
	maps.Copy(all, wanted)
	for _, device := range slices.Sorted(maps.Keys(all)) {
		value, back := free, free
		if v, ok := wanted[device]; ok {
			value = v
		}
		if v, ok := now[device]; ok {
			back = v
		}
		if value != back {
			plan = append(plan, &step{field: field, path: path, value: device + " " + value, back: device + " " + back})
		}
	}
	return plan
}

func deviceKey(major, minor int64) string { return fmt.Sprintf("%d:%d", major, minor) }

// weights1 knows the weights of BFQ and those of schedulers before it.
func (g Group) weights1(b *specs.LinuxBlockIO) []*step {
	name, usual := "blkio.weight", "500"
	if g.has("blkio", "blkio.bfq.weight") {
		name, usual = "blkio.bfq.weight", "100"
	}
	weight := &step{field: "BlkioWeight", path: g.file("blkio", name), value: usual, quiet: b.Weight == nil}
	if b.Weight != nil {
		weight.value = strconv.Itoa(int(*b.Weight))
	}
	wanted := map[string]string{}
	for _, d := range b.WeightDevice {
		wanted[deviceKey(d.Major, d.Minor)] = strconv.Itoa(int(*d.Weight))
	}
	return append([]*step{weight}, deviceSteps("BlkioWeightDevice", g.file("blkio", name+"_device"), wanted, "0")...)
}

func (g Group) rates1(b *specs.LinuxBlockIO) (plan []*step) {
	for _, kind := range []struct {
		field, file string
		rates       []specs.LinuxThrottleDevice
	}{
		{"BlkioReadBps", "read_bps_device", b.ThrottleReadBpsDevice}, {"BlkioWriteBps", "write_bps_device", b.ThrottleWriteBpsDevice},
		{"BlkioReadIOps", "read_iops_device", b.ThrottleReadIOPSDevice}, {"BlkioWriteIOps", "write_iops_device", b.ThrottleWriteIOPSDevice},
	} {
		wanted := map[string]string{}
		for _, d := range kind.rates {
			wanted[deviceKey(d.Major, d.Minor)] = strconv.FormatUint(d.Rate, 10)
		}
		plan = append(plan, deviceSteps(kind.field, g.file("blkio", "blkio.throttle."+kind.file), wanted, "0")...)
	}
	return plan
}

// weights2 gives BFQ, which kept its own range, Docker's weight as it is, and
// spreads it over the range of io.weight otherwise, as OCI runtimes do.
func (g Group) weights2(b *specs.LinuxBlockIO) []*step {
	name, convert := "io.weight", func(w uint16) string { return strconv.Itoa(1 + (int(w)-10)*9999/990) }
	if g.has("", "io.bfq.weight") {
		name, convert = "io.bfq.weight", func(w uint16) string { return strconv.Itoa(int(w)) }
	}
	path := g.file("", name)
	wanted := map[string]string{"default": "100"}
	if b.Weight != nil {
		wanted["default"] = convert(*b.Weight)
	}
	weight := &step{field: "BlkioWeight", path: path, value: "default " + wanted["default"], quiet: b.Weight == nil}
	if text, err := read(path); err == nil {
		weight.back, _, _ = strings.Cut(text, "\n")
	}
	delete(wanted, "default")
	for _, d := range b.WeightDevice {
		wanted[deviceKey(d.Major, d.Minor)] = convert(*d.Weight)
	}
	plan := deviceSteps("BlkioWeightDevice", path, wanted, "default")
	if weight.back == weight.value {
		return plan
	}
	return append([]*step{weight}, plan...)
}

// rates2 writes all four rates of a device at once.
func (g Group) rates2(b *specs.LinuxBlockIO) []*step {
	const free = "rbps=max wbps=max riops=max wiops=max"
	rates := map[string][4]uint64{}
	for i, kind := range [][]specs.LinuxThrottleDevice{b.ThrottleReadBpsDevice, b.ThrottleWriteBpsDevice, b.ThrottleReadIOPSDevice, b.ThrottleWriteIOPSDevice} {
		for _, d := range kind {
			of := rates[deviceKey(d.Major, d.Minor)]
			of[i] = d.Rate
			rates[deviceKey(d.Major, d.Minor)] = of
		}
	}
	wanted := map[string]string{}
	for device, of := range rates {
		var text [4]string
		for i, name := range []string{"rbps", "wbps", "riops", "wiops"} {
			text[i] = name + "=max"
			if of[i] > 0 {
				text[i] = fmt.Sprintf("%s=%d", name, of[i])
			}
		}
		wanted[device] = strings.Join(text[:], " ")
	}
	return deviceSteps("BlkioReadBps and its like", g.file("", "io.max"), wanted, free)
}
