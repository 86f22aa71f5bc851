package runtime_test

import (
	"os"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

func TestStats(t *testing.T) {
	n := newNode(t)
	spec := sh("dd if=/dev/zero of=/dev/null bs=1M count=2000 2>/dev/null; ping -c 3 -i 0.01 127.0.0.1 >/dev/null; sleep 1000 & echo ready; wait")
	if n.Info().CgroupVersion == 1 {
		spec.Limits.Memory, spec.Limits.Pids = 64<<20, 50
	}
	id := n.create(spec)
	_, err := n.Stats(n.ctx, id)
	n.wantConflict(err, "container "+id+" is not running")
	s := n.attach(id, runtime.AttachOptions{Stdout: true})
	defer s.Close()
	n.start(id, spec)
	if _, err := s.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	got, err := n.Stats(n.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	cpu := got.CPU
	if got.Read.IsZero() || got.CgroupVersion != n.Info().CgroupVersion || cpu.Total == 0 || cpu.Total > cpu.System || cpu.Online == 0 ||
		cpu.User+cpu.Kernel > 2*cpu.Total {
		t.Errorf("got %+v", got)
	}
	if got.Networks == nil || len(got.Networks) != 0 && got.Networks["lo"] != (model.NetStats{}) {
		t.Errorf("networks: %v", got.Networks)
	}
	if got.CgroupVersion == 1 {
		mem := got.Memory
		if mem.Usage == 0 || mem.MaxUsage < mem.Usage || mem.Limit != 64<<20 || mem.Detail["total_rss"] == 0 {
			t.Errorf("memory: %+v", mem)
		}
		if got.Pids.Current < 2 || got.Pids.Limit != 50 || len(cpu.PerCPU) < cpu.Online {
			t.Errorf("processes: %+v, processors: %v", got.Pids, cpu.PerCPU)
		}
	}
	host := sh("sleep 1000")
	other := n.create(host)
	if _, err := n.Start(n.ctx, runtime.StartRequest{ID: other, AccountID: "acct", Run: "r", Spec: host, Rootfs: n.rootfs, Netns: "host"}); err != nil {
		t.Fatal(err)
	}
	if got, err := n.Stats(n.ctx, other); err != nil || got.Networks != nil {
		t.Errorf("with the node's network: %v %v", got.Networks, err)
	}
}

func BenchmarkStats(b *testing.B) {
	n := newNode(b)
	spec := sh("sleep 1000")
	id := n.create(spec)
	n.start(id, spec)
	for b.Loop() {
		if _, err := n.Stats(n.ctx, id); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	n := newNode(b)
	spec := sh("sleep 1000")
	id := n.create(spec)
	n.start(id, spec)
	for b.Loop() {
		if code, _, err := n.Probe(n.ctx, id, []string{"true"}); err != nil || code != 0 {
			b.Fatal(code, err)
		}
	}
}

func TestKilledChildIsTold(t *testing.T) {
	n := newNode(t)
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err != nil {
		t.Skip("needs a memory controller")
	}
	spec := sh("sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'; echo survived; exit 3")
	spec.Limits.Memory = 16 << 20
	if e, out, _ := n.run(spec); e.ExitCode != 3 || !e.OOMKilled || out != "survived\n" {
		t.Errorf("got %+v %q", e, out)
	}
	spec = sh("sh -c 'kill -9 $$'; exit 3")
	if e, _, _ := n.run(spec); e.ExitCode != 3 || e.OOMKilled {
		t.Errorf("a kill of another kind: %+v", e)
	}
}
