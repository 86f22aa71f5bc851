package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
)

// Set makes r the group's limits: all of them or, when it returns an error,
// none. What is nil in r is not limited from now on. Rules for devices and
// whether the kernel may kill for want of memory stay as they are.
//
// KindConflict is a limit of memory below what cannot be freed, or a group
// that is gone; KindInvalid a limit that the kernel refuses.
func (g Group) Set(r *specs.LinuxResources) error {
	var undo revert.Stack
	defer undo.Revert()
	if g.Version == 2 && r.Memory != nil && r.Memory.Limit != nil {
		if err := g.makeRoom(*r.Memory.Limit); err != nil {
			return err
		}
	}
	for _, s := range g.plan(r) {
		changed, err := s.apply()
		if changed {
			undo.Add(s.revert)
		}
		if err == nil {
			err = failpoint.Hit("cgroup.set")
		}
		if err != nil {
			return g.explain(s, err)
		}
	}
	undo.Success()
	return nil
}

// A step is one write, and the way back.
type step struct {
	field string // of model.Limits
	path  string
	value string
	back  string // what undoes it; "" is what the file says before
	// quiet is set where nothing is asked for: then it is well that the kernel
	// has no such file.
	quiet bool
}

// apply reports whether it has changed anything.
func (s *step) apply() (changed bool, err error) {
	if s.back == "" {
		old, err := read(s.path)
		if errors.Is(err, os.ErrNotExist) && s.quiet || err == nil && old == s.value {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		s.back = cmp.Or(old, "\n") // an empty write would not reach the kernel
	}
	if err := write(s.path, s.value); err != nil {
		return false, err
	}
	return true, nil
}

// revert writes what was there. It was in force with all that is undone after
// it, so the kernel takes it.
func (s *step) revert() { _ = write(s.path, s.back) }

func (g Group) plan(r *specs.LinuxResources) []*step {
	memory, cpu := r.Memory, r.CPU
	if memory == nil {
		memory = &specs.LinuxMemory{}
	}
	if cpu == nil {
		cpu = &specs.LinuxCPU{}
	}
	var plan []*step
	if g.Version == 1 {
		plan = append(g.memory1(memory), g.cpu1(cpu)...)
	} else {
		plan = append(g.memory2(memory), g.cpu2(cpu, r.Unified["cpu.weight"])...)
	}
	plan = append(plan, g.cpuset(cpu)...)
	pids := &step{field: "PidsLimit", path: g.file("pids", "pids.max"), value: "max", quiet: true}
	if r.Pids != nil && r.Pids.Limit != nil && *r.Pids.Limit > 0 {
		pids.value, pids.quiet = strconv.FormatInt(*r.Pids.Limit, 10), false
	}
	return append(append(plan, pids), g.blockIO(r.BlockIO)...)
}

// setting is a step that writes n, or unlimited if that is nil.
func setting[N int64 | uint64](field, path string, n *N, unlimited string) *step {
	if n == nil {
		return &step{field: field, path: path, value: unlimited, quiet: true}
	}
	return &step{field: field, path: path, value: fmt.Sprint(*n)}
}

// memory1 puts memory and swap in the order in which the kernel accepts them:
// memory and swap together are never less than memory.
func (g Group) memory1(m *specs.LinuxMemory) []*step {
	limit := setting("Memory", g.file("memory", "memory.limit_in_bytes"), m.Limit, "-1")
	both := setting("MemorySwap", g.file("memory", "memory.memsw.limit_in_bytes"), m.Swap, "-1")
	plan := []*step{limit, both}
	if now, err := number(limit.path); err == nil && (m.Swap == nil || *m.Swap < 0 || uint64(*m.Swap) > now) {
		plan = []*step{both, limit}
	}
	plan = append(plan, setting("MemoryReservation", g.file("memory", "memory.soft_limit_in_bytes"), m.Reservation, "-1"))
	usual, err := read(g.above().file("memory", "memory.swappiness"))
	if m.Swappiness != nil || err == nil {
		plan = append(plan, setting("MemorySwappiness", g.file("memory", "memory.swappiness"), m.Swappiness, usual))
	}
	return plan
}

// memory2 knows that version 2 limits swap alone.
func (g Group) memory2(m *specs.LinuxMemory) []*step {
	var swap *int64
	if m.Limit != nil && m.Swap != nil && *m.Swap >= *m.Limit {
		alone := *m.Swap - *m.Limit
		swap = &alone
	}
	return []*step{
		setting("Memory", g.file("", "memory.max"), m.Limit, "max"),
		setting("MemorySwap", g.file("", "memory.swap.max"), swap, "max"),
		setting("MemoryReservation", g.file("", "memory.low"), m.Reservation, "0"),
	}
}

// makeRoom has version 2 free memory until the limit can be set, as version 1
// does by itself. Without that the kernel would make room by killing.
func (g Group) makeRoom(limit int64) error {
	usage, err := number(g.file("", "memory.current"))
	if err != nil || usage <= uint64(limit) {
		return nil // Set tells of a controller that is not there
	}
	high := g.file("", "memory.high")
	usual, err := read(high)
	if err == nil {
		err = write(high, strconv.FormatInt(limit, 10))
	}
	if err != nil {
		return fmt.Errorf("cannot free memory: %w", err)
	}
	defer func() { _ = write(high, usual) }()
	if usage, err = number(g.file("", "memory.current")); err != nil || usage > uint64(limit) {
		return g.tooMuchInUse(limit, err)
	}
	return nil
}

func (g Group) cpu1(c *specs.LinuxCPU) []*step {
	plan := []*step{
		setting("CPUShares", g.file("cpu", "cpu.shares"), c.Shares, "1024"),
		setting("CPUPeriod", g.file("cpu", "cpu.cfs_period_us"), c.Period, "100000"),
		setting("CPUQuota", g.file("cpu", "cpu.cfs_quota_us"), c.Quota, "-1"),
	}
	runtime := setting("CPURealtimeRuntime", g.file("cpu", "cpu.rt_runtime_us"), c.RealtimeRuntime, "0")
	period := setting("CPURealtimePeriod", g.file("cpu", "cpu.rt_period_us"), c.RealtimePeriod, "1000000")
	now, err := number(runtime.path)
	if wanted, _ := strconv.ParseUint(period.value, 10, 64); err == nil && now > wanted { // it never exceeds the period
		return append(plan, runtime, period)
	}
	return append(plan, period, runtime)
}

func (g Group) cpu2(c *specs.LinuxCPU, weight string) []*step {
	limit := step{field: "CPUQuota", path: g.file("", "cpu.max"), value: "max 100000", quiet: c.Quota == nil && c.Period == nil}
	quota, period := "max", uint64(100000)
	if c.Quota != nil && *c.Quota > 0 {
		quota = strconv.FormatInt(*c.Quota, 10)
	}
	if c.Period != nil {
		period = *c.Period
	}
	limit.value = fmt.Sprintf("%s %d", quota, period)
	share := step{field: "CPUShares", path: g.file("", "cpu.weight"), value: weight, quiet: weight == ""}
	if weight == "" {
		share.value = "100"
	}
	return []*step{&limit, &share}
}

// cpuset gives a group without a set of its own the set of the group above:
// in version 1 it must have one.
func (g Group) cpuset(c *specs.LinuxCPU) (plan []*step) {
	for _, set := range [][3]string{{"CpusetCpus", "cpuset.cpus", c.Cpus}, {"CpusetMems", "cpuset.mems", c.Mems}} {
		s := &step{field: set[0], path: g.file("cpuset", set[1]), value: set[2], quiet: set[2] == ""}
		if s.value == "" && g.Version == 1 {
			s.value, _ = read(g.above().file("cpuset", set[1])) // none, without the controller
		}
		s.value = cmp.Or(s.value, "\n")
		plan = append(plan, s)
	}
	return plan
}

// explain says in Docker's words, where it has any, why the kernel refused.
func (g Group) explain(s *step, err error) error {
	asked, parseErr := strconv.ParseInt(s.value, 10, 64)
	_, gone := os.Stat(g.dir("cpuacct"))
	switch {
	case gone != nil && isGone(err):
		return model.WrapError(model.KindConflict, err, "cannot set %s: the container has ended", s.field)
	case isGone(err):
		return model.WrapError(model.KindInvalid, err, "cannot set %s: the node's kernel has no such limit", s.field)
	case errors.Is(err, unix.EBUSY) && parseErr == nil && (s.field == "Memory" || s.field == "MemorySwap"):
		return g.tooMuchInUse(asked, err)
	case s.field == "CpusetCpus" || s.field == "CpusetMems":
		what := map[string]string{"CpusetCpus": "CPUs", "CpusetMems": "memory nodes"}[s.field]
		there, _ := read(g.above().file("cpuset", filepath.Base(s.path)))
		return model.WrapError(model.KindInvalid, err, "Requested %s are not available - requested %.100s, available: %s", what, s.value, there)
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ERANGE) || errors.Is(err, unix.EBUSY):
		return model.WrapError(model.KindInvalid, err, "cannot set %s to %.100s: the node's kernel refuses it", s.field, s.value)
	}
	return fmt.Errorf("cannot set %s: %w", s.field, err)
}

func (g Group) tooMuchInUse(limit int64, cause error) error {
	now, peak := g.file("memory", "memory.usage_in_bytes"), g.file("memory", "memory.max_usage_in_bytes")
	if g.Version == 2 {
		now, peak = g.file("", "memory.current"), g.file("", "memory.peak")
	}
	usage, err := number(now)
	most, err2 := number(peak)
	if cause == nil {
		cause = errors.Join(unix.EBUSY, err, err2)
	}
	return model.WrapError(model.KindConflict, cause, "unable to set memory limit to %d (current usage: %d, peak usage: %d)", limit, usage, most)
}
