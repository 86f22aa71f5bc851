package cgroup

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// Stats reads all that the group's kernel counts, and of the node what Docker
// puts beside it. A controller that is not there leaves zeros. Time of the
// sample and networks are the caller's to add.
func (g Group) Stats() (model.Stats, error) {
	s := model.Stats{CgroupVersion: g.Version}
	var err error
	if s.CPU.System, s.CPU.Online, err = nodeCPU("/proc/stat"); err != nil {
		return s, err
	}
	count := g.stats1
	if g.Version == 2 {
		count = g.stats2
	}
	if err := count(&s); err != nil {
		return s, fmt.Errorf("cannot read control group: %w", err)
	}
	s.Pids.Current, err = optional(g.file("pids", "pids.current"), err)
	limit, err := optional(g.file("pids", "pids.max"), err)
	if err != nil {
		return s, fmt.Errorf("cannot read control group: %w", err)
	}
	if limit != ^uint64(0) {
		s.Pids.Limit = limit
	}
	if node, err := nodeMemory(); err == nil && (s.Memory.Limit == 0 || s.Memory.Limit > node) {
		s.Memory.Limit = node
	}
	return s, nil
}

// optional reads a number that is 0 where the kernel does not count it. It
// keeps an earlier error.
func optional(path string, earlier error) (uint64, error) {
	if earlier != nil {
		return 0, earlier
	}
	n, err := number(path)
	if isGone(err) {
		err = nil
	}
	return n, err
}

func optionalTable(path string, earlier error) (map[string]uint64, error) {
	if earlier != nil {
		return nil, earlier
	}
	t, err := table(path)
	if isGone(err) {
		err = nil
	}
	return t, err
}

func (g Group) stats1(s *model.Stats) error {
	cpu, mem := &s.CPU, &s.Memory
	var err error
	// Where this is missing the whole group is: each container is in that controller.
	if cpu.Total, err = number(g.file("cpuacct", "cpuacct.usage")); err != nil {
		return err
	}
	cpu.User, err = optional(g.file("cpuacct", "cpuacct.usage_user"), err)
	cpu.Kernel, err = optional(g.file("cpuacct", "cpuacct.usage_sys"), err)
	throttled, err := optionalTable(g.file("cpu", "cpu.stat"), err)
	cpu.Periods, cpu.ThrottledPeriods, cpu.ThrottledTime = throttled["nr_periods"], throttled["nr_throttled"], throttled["throttled_time"]
	mem.Usage, err = optional(g.file("memory", "memory.usage_in_bytes"), err)
	mem.MaxUsage, err = optional(g.file("memory", "memory.max_usage_in_bytes"), err)
	mem.FailCount, err = optional(g.file("memory", "memory.failcnt"), err)
	mem.Limit, err = optional(g.file("memory", "memory.limit_in_bytes"), err)
	mem.Detail, err = optionalTable(g.file("memory", "memory.stat"), err)
	if err != nil {
		return err
	}
	if each, err := read(g.file("cpuacct", "cpuacct.usage_percpu")); err == nil {
		for field := range strings.FieldsSeq(each) {
			if n, err := strconv.ParseUint(field, 10, 64); err == nil {
				cpu.PerCPU = append(cpu.PerCPU, n)
			}
		}
	}
	s.Blkio.Bytes = g.block1("io_service_bytes_recursive")
	s.Blkio.Requests = g.block1("io_serviced_recursive")
	return nil
}

// block1 reads what the throttling layer counts, which sees all traffic, or
// else what the scheduler does.
func (g Group) block1(name string) []model.BlkEntry {
	for _, layer := range []string{"blkio.throttle.", "blkio.bfq.", "blkio."} {
		if text, err := read(g.file("blkio", layer+name)); err == nil {
			return parseBlock1(text)
		}
	}
	return nil
}

// parseBlock1 reads lines such as "8:0 Read 4096". The last one, a sum over
// all devices, has no device.
func parseBlock1(text string) []model.BlkEntry {
	var out []model.BlkEntry
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		major, minor, ok := deviceNumbers(f[0])
		value, err := strconv.ParseUint(f[2], 10, 64)
		if ok && err == nil {
			out = append(out, model.BlkEntry{Major: major, Minor: minor, Op: strings.ToLower(f[1]), Value: value})
		}
	}
	return out
}

func (g Group) stats2(s *model.Stats) error {
	cpu, mem := &s.CPU, &s.Memory
	t, err := table(g.file("", "cpu.stat")) // each group of version 2 has it, whatever its controllers
	if err != nil {
		return err
	}
	const microsecond = 1000 // in nanoseconds
	cpu.Total, cpu.User, cpu.Kernel = t["usage_usec"]*microsecond, t["user_usec"]*microsecond, t["system_usec"]*microsecond
	cpu.Periods, cpu.ThrottledPeriods, cpu.ThrottledTime = t["nr_periods"], t["nr_throttled"], t["throttled_usec"]*microsecond
	mem.Usage, err = optional(g.file("", "memory.current"), err)
	mem.Limit, err = optional(g.file("", "memory.max"), err)
	mem.Detail, err = optionalTable(g.file("", "memory.stat"), err)
	events, err := optionalTable(g.file("", "memory.events"), err)
	mem.FailCount = events["oom"] // as Docker fills it
	if err != nil {
		return err
	}
	if text, err := read(g.file("", "io.stat")); err == nil {
		s.Blkio = parseBlock2(text)
	}
	return nil
}

// parseBlock2 reads lines such as "8:0 rbytes=1 wbytes=2 rios=3 wios=4".
func parseBlock2(text string) model.BlkStats {
	var out model.BlkStats
	for line := range strings.Lines(text) {
		device, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		major, minor, ok := deviceNumbers(device)
		if !ok {
			continue
		}
		for field := range strings.FieldsSeq(rest) {
			name, value, _ := strings.Cut(field, "=")
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil || len(name) < 2 {
				continue
			}
			entry := model.BlkEntry{Major: major, Minor: minor, Op: map[byte]string{'r': "read", 'w': "write", 'd': "discard"}[name[0]], Value: n}
			switch {
			case entry.Op == "":
			case name[1:] == "bytes":
				out.Bytes = append(out.Bytes, entry)
			case name[1:] == "ios":
				out.Requests = append(out.Requests, entry)
			}
		}
	}
	return out
}

func deviceNumbers(text string) (major, minor uint64, ok bool) {
	first, second, ok := strings.Cut(text, ":")
	major, err := strconv.ParseUint(first, 10, 32)
	minor, err2 := strconv.ParseUint(second, 10, 32)
	return major, minor, ok && err == nil && err2 == nil
}

// ticksPerSecond is the unit of times in /proc on every architecture that Go
// knows.
const ticksPerSecond = 100

// nodeCPU returns the time of all processors, idle time included and, as
// Docker counts, what a hypervisor stole not; and how many there are. The lines
// of processors come first.
func nodeCPU(path string) (total uint64, online int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read the node's CPU time: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() && strings.HasPrefix(lines.Text(), "cpu") {
		fields := strings.Fields(lines.Text())
		if fields[0] != "cpu" {
			online++
			continue
		}
		for _, field := range fields[1:min(8, len(fields))] {
			ticks, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("cannot read the node's CPU time: %w", err)
			}
			total += ticks * (1e9 / ticksPerSecond)
		}
	}
	return total, online, lines.Err()
}

func nodeMemory() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, err
	}
	return info.Totalram * uint64(info.Unit), nil
}
