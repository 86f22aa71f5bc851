package agent

import (
	"bufio"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// machineInfo describes the machine that this process runs on, without its
// storage and runtime.
func machineInfo() (model.NodeInfo, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return model.NodeInfo{}, fmt.Errorf("cannot ask for the kernel's version: %w", err)
	}
	memory, err := readMemory()
	if err != nil {
		return model.NodeInfo{}, err
	}
	cpus := goruntime.NumCPU()
	return model.NodeInfo{
		Hostname:        unix.ByteSliceToString(uts.Nodename[:]),
		Kernel:          unix.ByteSliceToString(uts.Release[:]),
		OperatingSystem: operatingSystem(),
		Architecture:    goruntime.GOARCH,
		CPUs:            cpus,
		Capacity:        model.Resources{Memory: memory.total, CPU: int64(cpus) * 1000},
	}, nil
}

type memory struct{ total, available int64 } // bytes

func readMemory() (memory, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return memory{}, fmt.Errorf("cannot read the machine's memory: %w", err)
	}
	m, err := proc.Meminfo()
	if err != nil {
		return memory{}, fmt.Errorf("cannot read the machine's memory: %w", err)
	}
	if m.MemTotalBytes == nil || m.MemAvailableBytes == nil {
		return memory{}, fmt.Errorf("cannot read the machine's memory: /proc/meminfo lacks MemTotal or MemAvailable")
	}
	return memory{int64(*m.MemTotalBytes), int64(*m.MemAvailableBytes)}, nil
}

func readLoad1() float64 {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	load, err := proc.LoadAvg()
	if err != nil {
		return 0 // a hint that nobody decides on alone
	}
	return load.Load1
}

// diskSpace returns the size and the free bytes of the file system under dir.
func diskSpace(dir string) (total, free int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("cannot ask for the free space of the state directory: %w", err)
	}
	return int64(s.Blocks) * s.Bsize, int64(s.Bavail) * s.Bsize, nil
}

// operatingSystem is the distribution's own name, of os-release(5).
func operatingSystem() string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			value, found := strings.CutPrefix(lines.Text(), "PRETTY_NAME=")
			if !found {
				continue
			}
			if unquoted, err := strconv.Unquote(value); err == nil {
				return unquoted
			}
			return strings.Trim(value, "'")
		}
	}
	return "Linux"
}

// sortedTags lists the physical networks that the machine is on.
func sortedTags(uplinks map[string]string) []string {
	var tags []string
	for tag := range uplinks {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	return tags
}
