package runtime_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// limit reads a file of a container's control group of version 1; "" if there
// is none.
func (n *node) limit(id, controller, name string) string {
	n.Helper()
	b, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", controller, n.cfg.CgroupParent, "acct", id, name))
	if err != nil && !os.IsNotExist(err) {
		n.Error(err)
	}
	return strings.TrimSpace(string(b))
}

func (n *node) needsVersion1() {
	n.Helper()
	if n.Info().CgroupVersion != 1 {
		n.Skip("needs version 1 of control groups, whose files it reads")
	}
}

// aDisk returns a whole disk of the node and its number.
func aDisk(t *testing.T) (path, number string) {
	t.Helper()
	for _, name := range []string{"vda", "sda", "nvme0n1", "xvda", "loop0"} {
		b, err := os.ReadFile("/sys/block/" + name + "/dev")
		if _, err2 := os.Stat("/dev/" + name); err == nil && err2 == nil {
			return "/dev/" + name, strings.TrimSpace(string(b))
		}
	}
	t.Skip("needs a disk whose I/O can be limited")
	return "", ""
}

func TestUpdateOfALivingContainer(t *testing.T) {
	n := newNode(t)
	n.needsVersion1()
	disk, number := aDisk(t)
	all := n.limit("..", "cpuset", "../cpuset.cpus")
	spec := sh("sleep 1000")
	spec.Limits = model.Limits{Memory: 32 << 20, Pids: 10, BlkioReadBps: []model.BlkioLimit{{Path: disk, Rate: 1 << 20}}}
	id := n.create(spec)
	n.wantConflict(n.Update(n.ctx, id, &model.Limits{}), "is not running")
	n.start(id, spec)
	swappiness := int64(7)
	steps := []struct {
		name   string
		limits model.Limits
		want   map[string]string // controller/file
	}{
		{"more", model.Limits{
			Memory: 64 << 20, MemorySwap: 96 << 20, MemoryReservation: 16 << 20, MemorySwappiness: &swappiness, Pids: 20,
			CPUShares: 512, CPUPeriod: 50_000, CPUQuota: 25_000, CpusetCpus: "0", CpusetMems: "0",
			BlkioReadBps: []model.BlkioLimit{{Path: disk, Rate: 2 << 20}}, BlkioWriteIOps: []model.BlkioLimit{{Path: disk, Rate: 100}},
		}, map[string]string{
			"memory/memory.limit_in_bytes": "67108864", "memory/memory.memsw.limit_in_bytes": "100663296",
			"memory/memory.soft_limit_in_bytes": "16777216", "memory/memory.swappiness": "7", "pids/pids.max": "20",
			"cpu/cpu.shares": "512", "cpu/cpu.cfs_period_us": "50000", "cpu/cpu.cfs_quota_us": "25000",
			"cpuset/cpuset.cpus": "0", "cpuset/cpuset.mems": "0",
			"blkio/blkio.throttle.read_bps_device": number + " 2097152", "blkio/blkio.throttle.write_iops_device": number + " 100",
		}},
		{"less", model.Limits{Memory: 16 << 20, Pids: 5, CPUQuota: 50_000}, map[string]string{
			"memory/memory.limit_in_bytes": "16777216", "memory/memory.memsw.limit_in_bytes": "33554432",
			"memory/memory.soft_limit_in_bytes": "9223372036854771712", "memory/memory.swappiness": "60", "pids/pids.max": "5",
			"cpu/cpu.shares": "1024", "cpu/cpu.cfs_period_us": "100000", "cpu/cpu.cfs_quota_us": "50000", "cpuset/cpuset.cpus": all,
			"blkio/blkio.throttle.read_bps_device": "", "blkio/blkio.throttle.write_iops_device": "",
		}},
		{"none", model.Limits{}, map[string]string{
			"memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.memsw.limit_in_bytes": "9223372036854771712",
			"pids/pids.max": "max", "cpu/cpu.cfs_quota_us": "-1",
		}},
	}
	for _, step := range steps {
		if err := n.Update(n.ctx, id, &step.limits); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for path, want := range step.want {
			controller, file, _ := strings.Cut(path, "/")
			if got := n.limit(id, controller, file); got != want {
				t.Errorf("%s: %s is %q, want %q", step.name, path, got, want)
			}
		}
	}
}

func TestRefusedUpdateChangesNothing(t *testing.T) {
	n := newNode(t)
	n.needsVersion1()
	spec := sh("x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k; do x=$x$x; [ ${#x} -gt 16000000 ] && break; done; echo ready; sleep 1000; :")
	spec.Limits = model.Limits{Memory: 256 << 20, Pids: 10, CPUShares: 300}
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdout: true})
	defer s.Close()
	n.start(id, spec)
	if _, err := s.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		limits model.Limits
		kind   model.Kind
		words  string
	}{
		"below what is used": {model.Limits{Memory: 4 << 20, Pids: 20}, model.KindConflict, "unable to set memory limit to 4194304 (current usage: "},
		"no such processor":  {model.Limits{Memory: 300 << 20, Pids: 20, CpusetCpus: "0-999"}, model.KindInvalid, "Requested CPUs are not available - requested 0-999, available: "},
		"no such node":       {model.Limits{Memory: 300 << 20, Pids: 20, CpusetMems: "63"}, model.KindInvalid, "Requested memory nodes are not available"},
		"a quota too small":  {model.Limits{Memory: 300 << 20, Pids: 20, CPUQuota: 1}, model.KindInvalid, "CPUQuota"},
		"no such disk":       {model.Limits{Pids: 20, BlkioReadBps: []model.BlkioLimit{{Path: "/dev/null", Rate: 1}}}, model.KindInvalid, "no such block device"},
	} {
		err := n.Update(n.ctx, id, &c.limits)
		if !model.IsKind(err, c.kind) || !strings.Contains(model.UserText(err), c.words) || !strings.HasPrefix(model.UserText(err), "Cannot update container "+id+": ") {
			t.Errorf("%s: %v", name, err)
		}
		for path, want := range map[string]string{
			"memory/memory.limit_in_bytes": "268435456", "memory/memory.memsw.limit_in_bytes": "536870912",
			"pids/pids.max": "10", "cpu/cpu.shares": "300", "cpu/cpu.cfs_quota_us": "-1",
		} {
			controller, file, _ := strings.Cut(path, "/")
			if got := n.limit(id, controller, file); got != want {
				t.Errorf("after %s: %s is %q, want %q", name, path, got, want)
			}
		}
	}
}

func TestLimitsOfBlockDevicesHoldFromTheStart(t *testing.T) {
	n := newNode(t)
	n.needsVersion1()
	disk, number := aDisk(t)
	spec := sh("sleep 1000")
	spec.Limits.BlkioReadBps = []model.BlkioLimit{{Path: disk, Rate: 1 << 20}}
	spec.Limits.BlkioWriteBps = []model.BlkioLimit{{Path: disk, Rate: 2 << 20}}
	spec.Limits.BlkioReadIOps = []model.BlkioLimit{{Path: disk, Rate: 30}}
	spec.Limits.BlkioWriteIOps = []model.BlkioLimit{{Path: disk, Rate: 40}}
	id := n.create(spec)
	n.start(id, spec)
	for file, want := range map[string]string{
		"read_bps_device": "1048576", "write_bps_device": "2097152", "read_iops_device": "30", "write_iops_device": "40",
	} {
		if got := n.limit(id, "blkio", "blkio.throttle."+file); got != number+" "+want {
			t.Errorf("%s is %q", file, got)
		}
	}
	spec.Limits = model.Limits{BlkioReadBps: []model.BlkioLimit{{Path: "/dev/nosuch", Rate: 1}}}
	other := n.create(spec)
	if _, err := n.startErr(other, spec); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("a disk that is not there: %v", err)
	}
}

// TestRealtime shares out real-time time, where the kernel does: groups get it
// from those above, and give no more than there is.
func TestRealtime(t *testing.T) {
	n := newNode(t)
	n.needsVersion1()
	spec := sh("sleep 1000")
	spec.Limits.CPURealtimeRuntime = 100_000
	if _, err := os.Stat("/sys/fs/cgroup/cpu/cpu.rt_runtime_us"); err != nil {
		t.Skip("needs a kernel that shares out real-time CPU time (CONFIG_RT_GROUP_SCHED)")
	}
	ids := []string{n.create(spec), n.create(spec)}
	for _, id := range ids {
		n.start(id, spec)
		if got := n.limit(id, "cpu", "cpu.rt_runtime_us"); got != "100000" {
			t.Errorf("got %s", got)
		}
	}
	if err := n.Update(n.ctx, ids[0], &model.Limits{CPURealtimeRuntime: 300_000, CPURealtimePeriod: 500_000}); err != nil {
		t.Error(err)
	}
	if all := n.limit("..", "cpu", "cpu.rt_runtime_us"); all != "700000" {
		t.Errorf("all containers have %s", all)
	}
	err := n.Update(n.ctx, ids[1], &model.Limits{CPURealtimeRuntime: 900_000})
	if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "has not so much left") {
		t.Errorf("too much: %v", err)
	}
	for _, id := range ids {
		n.Signal(n.ctx, id, unix.SIGKILL)
		n.waitExit(id)
		n.remove(id)
	}
	n.wantNothingLeft()
}
