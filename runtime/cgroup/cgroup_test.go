package cgroup_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/cgroup"
)

// pretend makes a group of plain files, for controllers that a test machine
// rarely has with version 2. Real groups are tested by package runtime.
func pretend(t *testing.T, version int, files map[string]string) cgroup.Group {
	t.Helper()
	g := cgroup.Group{Root: t.TempDir(), Version: version, Path: "/p/c"}
	for name, text := range files {
		path := filepath.Join(g.Root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func contents(t *testing.T, g cgroup.Group) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(g.Root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, g.Root+"/")] = strings.TrimSpace(string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// version2 is a group of version 2 with all controllers and no limits.
func version2() map[string]string {
	return map[string]string{
		"p/cpuset.cpus": "0-3", "p/c/cpu.stat": "usage_usec 5\n", "p/c/memory.current": "8388608\n", "p/c/memory.peak": "9000000\n",
		"p/c/memory.max": "max\n", "p/c/memory.swap.max": "max\n", "p/c/memory.low": "0\n", "p/c/memory.high": "max\n",
		"p/c/cpu.max": "max 100000\n", "p/c/cpu.weight": "100\n", "p/c/cpuset.cpus": "\n", "p/c/cpuset.mems": "\n",
		"p/c/pids.max": "max\n", "p/c/io.max": "", "p/c/io.weight": "default 100\n",
	}
}

func ptr[T any](v T) *T { return &v }

func TestSetWithVersion2(t *testing.T) {
	t.Parallel()
	g := pretend(t, 2, version2())
	before := contents(t, g)
	rate := specs.LinuxThrottleDevice{Rate: 5000}
	rate.Major = 8
	err := g.Set(&specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: ptr[int64](64 << 20), Swap: ptr[int64](96 << 20), Reservation: ptr[int64](1 << 20)},
		CPU:     &specs.LinuxCPU{Quota: ptr[int64](50_000), Period: ptr[uint64](200_000), Cpus: "1-2"},
		Pids:    &specs.LinuxPids{Limit: ptr[int64](12)},
		BlockIO: &specs.LinuxBlockIO{Weight: ptr[uint16](1000), ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{rate}, ThrottleWriteIOPSDevice: []specs.LinuxThrottleDevice{rate}},
		Unified: map[string]string{"cpu.weight": "59"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := contents(t, pretend(t, 2, version2()))
	for name, value := range map[string]string{
		"memory.max": "67108864", "memory.swap.max": "33554432", "memory.low": "1048576", "cpu.max": "50000 200000", "cpu.weight": "59",
		"cpuset.cpus": "1-2", "pids.max": "12", "io.weight": "default 10000", "io.max": "8:0 rbps=5000 wbps=max riops=max wiops=5000",
	} {
		want["p/c/"+name] = value
	}
	if diff := cmp.Diff(want, contents(t, g)); diff != "" {
		t.Errorf("limited (-want +got):\n%s", diff)
	}
	if err := g.Set(&specs.LinuxResources{}); err != nil {
		t.Fatal(err)
	}
	before["p/c/io.max"] = "8:0 rbps=max wbps=max riops=max wiops=max" // of which the kernel makes nothing
	if diff := cmp.Diff(before, contents(t, g)); diff != "" {
		t.Errorf("freed (-want +got):\n%s", diff)
	}
}

// TestMemoryInUseIsNotLimited: version 2 would kill.
func TestMemoryInUseIsNotLimited(t *testing.T) {
	t.Parallel()
	g := pretend(t, 2, version2())
	before := contents(t, g)
	err := g.Set(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](4 << 20)}, Pids: &specs.LinuxPids{Limit: ptr[int64](12)}})
	if !model.IsKind(err, model.KindConflict) || model.UserText(err) != "unable to set memory limit to 4194304 (current usage: 8388608, peak usage: 9000000)" {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, contents(t, g)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}

func TestMissingLimits(t *testing.T) {
	t.Parallel()
	files := version2()
	delete(files, "p/c/memory.swap.max")
	delete(files, "p/c/pids.max")
	g := pretend(t, 2, files)
	if err := g.Set(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)}}); err != nil {
		t.Errorf("what is not asked for need not be there: %v", err)
	}
	before := contents(t, g)
	err := g.Set(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](32 << 20)}, Pids: &specs.LinuxPids{Limit: ptr[int64](12)}})
	if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "PidsLimit") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, contents(t, g)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	gone := cgroup.Group{Root: t.TempDir(), Version: 2, Path: "/p/c"}
	if err := gone.Set(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](12)}}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a group that is gone: %v", err)
	}
	if err := gone.Thaw(); err != nil {
		t.Errorf("to thaw a group that is gone: %v", err)
	}
}

func TestStatsOfVersion2(t *testing.T) {
	t.Parallel()
	g := pretend(t, 2, map[string]string{
		"p/c/cpu.stat":       "usage_usec 50\nuser_usec 30\nsystem_usec 20\nnr_periods 4\nnr_throttled 3\nthrottled_usec 2\n",
		"p/c/memory.current": "4096\n", "p/c/memory.max": "max\n", "p/c/memory.stat": "anon 1024\nfile 2048\n", "p/c/memory.events": "low 0\noom 7\noom_kill 1\n",
		"p/c/pids.current": "3\n", "p/c/pids.max": "9\n",
		"p/c/io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n253:1 rbytes=9\n",
	})
	got, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if got.CPU.System == 0 || got.CPU.Online == 0 || got.Memory.Limit == 0 {
		t.Errorf("of the node: %+v", got)
	}
	got.CPU.System, got.CPU.Online, got.Memory.Limit = 0, 0, 0
	want := model.Stats{
		CgroupVersion: 2,
		CPU:           model.CPUStats{Total: 50_000, User: 30_000, Kernel: 20_000, Periods: 4, ThrottledPeriods: 3, ThrottledTime: 2000},
		Memory:        model.MemStats{Usage: 4096, FailCount: 7, Detail: map[string]uint64{"anon": 1024, "file": 2048}},
		Pids:          model.PidsStats{Current: 3, Limit: 9},
		Blkio: model.BlkStats{
			Bytes:    []model.BlkEntry{{Major: 8, Op: "read", Value: 1}, {Major: 8, Op: "write", Value: 2}, {Major: 8, Op: "discard", Value: 5}, {Major: 253, Minor: 1, Op: "read", Value: 9}},
			Requests: []model.BlkEntry{{Major: 8, Op: "read", Value: 3}, {Major: 8, Op: "write", Value: 4}, {Major: 8, Op: "discard", Value: 6}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatsOfVersion1(t *testing.T) {
	t.Parallel()
	g := pretend(t, 1, map[string]string{
		"cpuacct/p/c/cpuacct.usage": "500\n", "cpuacct/p/c/cpuacct.usage_percpu": "200 300 \n", "cpu/p/c/cpu.stat": "nr_periods 4\nnr_throttled 3\nthrottled_time 2\n",
		"memory/p/c/memory.usage_in_bytes": "4096\n", "memory/p/c/memory.limit_in_bytes": "8192\n", "memory/p/c/memory.failcnt": "6\n",
		"memory/p/c/memory.max_usage_in_bytes": "5000\n", "memory/p/c/memory.stat": "cache 1\ntotal_cache 2\n",
		"blkio/p/c/blkio.throttle.io_service_bytes_recursive": "254:0 Read 10\n254:0 Sync 11\n254:0 Total 21\nTotal 21\n",
	})
	got, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	got.CPU.System, got.CPU.Online = 0, 0
	want := model.Stats{
		CgroupVersion: 1,
		CPU:           model.CPUStats{Total: 500, PerCPU: []uint64{200, 300}, Periods: 4, ThrottledPeriods: 3, ThrottledTime: 2},
		Memory:        model.MemStats{Usage: 4096, MaxUsage: 5000, FailCount: 6, Limit: 8192, Detail: map[string]uint64{"cache": 1, "total_cache": 2}},
		Blkio:         model.BlkStats{Bytes: []model.BlkEntry{{Major: 254, Op: "read", Value: 10}, {Major: 254, Op: "sync", Value: 11}, {Major: 254, Op: "total", Value: 21}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := (cgroup.Group{Root: g.Root, Version: 1, Path: "/gone"}).Stats(); err == nil {
		t.Error("a group that is gone has statistics")
	}
}

// TestProcessesThatDoNotHaltGoOn: a pause that does not succeed leaves nothing
// frozen. Plain files never say FROZEN by themselves in version 2.
func TestProcessesThatDoNotHaltGoOn(t *testing.T) {
	t.Parallel()
	g := pretend(t, 2, map[string]string{"p/c/cgroup.freeze": "0\n", "p/c/cgroup.events": "populated 1\nfrozen 0\n"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := g.Freeze(ctx); err == nil {
		t.Error("it is said to be frozen")
	}
	if state, err := g.Freezing(); err != nil || state != cgroup.Thawed {
		t.Errorf("it is left %v, %v", state, err)
	}
}
