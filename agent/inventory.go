package agent

import (
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/spearheadcloud/spearhead/model"
)

// inventory looks at the machine's hardware through sysfs, mounted at sys. What
// cannot be read is left out: it is for people only.
func inventory(sys string) model.Inventory {
	i := model.Inventory{
		Vendor:  line(sys, "class/dmi/id/sys_vendor"),
		Product: line(sys, "class/dmi/id/product_name"),
		CPUs:    goruntime.NumCPU(),
		Disks:   disks(sys),
		Links:   links(sys),
	}
	if memory, err := readMemory(); err == nil {
		i.Memory = memory.total
	}
	if proc, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
			i.Processor = cpus[0].ModelName
		}
	}
	return i.Bounded()
}

// sectorSize is that of /sys/block's size, whatever the disk's own is.
const sectorSize = 512

// disks lists the block devices that have hardware behind them: loops, RAM
// disks and what is made of other disks do not.
func disks(sys string) []model.Disk {
	var all []model.Disk
	entries, err := os.ReadDir(filepath.Join(sys, "block"))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		dir := filepath.Join(sys, "block", e.Name())
		sectors, err := strconv.ParseInt(line(dir, "size"), 10, 64)
		if _, hardware := os.Stat(filepath.Join(dir, "device")); hardware != nil || err != nil || sectors <= 0 {
			continue
		}
		all = append(all, model.Disk{
			Name: e.Name(), Model: line(dir, "device/model"), Size: sectors * sectorSize, Rotational: line(dir, "queue/rotational") == "1",
		})
	}
	return all
}

// links lists the network interfaces that have hardware behind them.
func links(sys string) []model.Interface {
	var all []model.Interface
	entries, err := os.ReadDir(filepath.Join(sys, "class/net"))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		dir := filepath.Join(sys, "class/net", e.Name())
		if _, err := os.Stat(filepath.Join(dir, "device")); err != nil {
			continue
		}
		mac, err := net.ParseMAC(line(dir, "address"))
		if err != nil {
			continue
		}
		speed, _ := strconv.Atoi(line(dir, "speed")) // unreadable without a carrier
		all = append(all, model.Interface{Name: e.Name(), MAC: mac.String(), Speed: max(speed, 0), Up: line(dir, "operstate") == "up"})
	}
	return all
}

// line is the content of a file of one line, "" if it cannot be read.
func line(dir, name string) string {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
