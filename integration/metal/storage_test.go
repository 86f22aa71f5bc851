package metal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// blamed tells whether a refusal names the storage: that of the node that was chosen, or, once
// the node has told how its storage does, of all that could have been.
func blamed(refusal string) bool {
	return strings.Contains(refusal, "storage does not answer") || strings.Contains(refusal, "storage that fails")
}

// told waits until the operator sees what is wrong with the node's storage.
func (s *site) told(t *testing.T, what string) {
	t.Helper()
	eventually(t, func() error {
		if shown := s.root(t, "spearhead node ls"); !strings.Contains(shown, what) {
			return fmt.Errorf("the node is\n%s", shown)
		}
		return nil
	})
}

// pull takes disks out of the machine. What it returns puts them back, which the test's end does
// at the latest, so that those after it have a whole machine.
func (s *site) pull(t *testing.T, disks ...int) (plug func()) {
	t.Helper()
	out := map[int]bool{}
	plug = func() {
		for disk := range out {
			if err := s.machine.Plug(cleanContext(t), disk); err != nil {
				t.Error(err)
			}
			delete(out, disk)
		}
	}
	for _, disk := range disks {
		if err := s.machine.Pull(t.Context(), disk); err != nil {
			t.Fatal(err)
		}
		out[disk] = true
	}
	t.Cleanup(plug)
	return plug
}

func TestADiskThatIsLostIsNotMissed(t *testing.T) {
	s := tests.site(t)
	name := s.volume(t, "mirrored", "-o", "size=32m")
	plug := s.pull(t, 1)
	s.once(t, name, "echo kept > /data/file; sync")
	eventually(t, func() error {
		if shown := s.root(t, "spearhead pool show bay"); !strings.Contains(shown, "DEGRADED") {
			return fmt.Errorf("the pool is\n%s", shown)
		}
		return nil
	})
	s.works(t)
	plug()
	eventually(t, func() error {
		if _, err := s.machine.Run(t.Context(), "test -e /dev/disk/by-id/virtio-disk-1 && zpool online bay /dev/disk/by-id/virtio-disk-1"); err != nil {
			return err
		}
		if shown := s.root(t, "spearhead pool ls"); !strings.Contains(shown, "ONLINE") {
			return fmt.Errorf("the pool is\n%s", shown)
		}
		return nil
	})
	if got := s.once(t, name, "cat /data/file"); got != "kept" {
		t.Errorf("the volume holds %q", got)
	}
}

// Disks that answer nothing hang whoever writes to the pool in the kernel: neither a signal nor
// a restart ends that. The node finds that out by itself, though what is free the kernel tells from
// memory; it says so, gets nothing new, and is well again when its disks are.
func TestDisksThatHang(t *testing.T) {
	s := tests.site(t)
	id := s.Run(t, s.Image, "sleep", "100000")
	stall := func(ctx context.Context, stalled bool) error {
		return errors.Join(s.machine.Stall(ctx, 0, stalled), s.machine.Stall(ctx, 1, stalled))
	}
	t.Cleanup(func() { // before what removes the container
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := stall(ctx, false); err != nil {
			t.Error(err)
		}
	})
	if err := stall(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	s.told(t, "its storage does not answer")
	if got := s.root(t, "spearhead node show node-1"); !strings.Contains(got, "degraded") {
		t.Errorf("the node is shown as\n%s", got)
	}
	if got := s.Docker(t, "info", "--format", "{{.Warnings}}"); !strings.Contains(got, "the storage of some nodes fails") {
		t.Errorf("users are told %q", got)
	}
	if got := s.root(t, "curl -s http://127.0.0.1:9377/metrics 2>/dev/null || bash -c 'exec 3<>/dev/tcp/127.0.0.1/9377; printf \"GET /metrics HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3'"); !strings.Contains(got, `spearhead_agent_storage_fault{fault="silent"} 1`) {
		t.Errorf("its numbers do not tell")
	}
	done := s.Try(t, "run", "-d", "--name", "stalled", "-v", "stalled:/data", s.Image, "sleep", "1000")
	if done.Code == 0 || !blamed(done.Stderr) {
		t.Errorf("with disks that hang: %+v", done)
	}
	if got := s.Docker(t, "exec", id, "echo", "here"); got != "here" {
		t.Errorf("a container that runs says %q", got)
	}
	if err := stall(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	s.well(t)
	s.works(t)
	s.Try(t, "rm", "-f", "-v", "stalled")
	s.Try(t, "volume", "rm", "-f", "stalled")
}

// A pool that has lost its last disk is suspended: the kernel keeps what was written and waits
// for the disk. After the operator has put it back and booted, all is there.
func TestAPoolThatIsSuspended(t *testing.T) {
	s := tests.site(t)
	name := s.volume(t, "suspended", "-o", "size=32m")
	back := s.Run(t, "--restart", "always", "-v", name+":/data", s.Image, "sh", "-c", "test -e /data/file || echo kept > /data/file; sync; sleep 100000")
	eventually(t, func() error {
		if done := s.Try(t, "exec", back, "cat", "/data/file"); done.Stdout != "kept\n" {
			return errors.New(done.Stderr)
		}
		return nil
	})
	plug := s.pull(t, 0, 1)
	// Nothing is written to it before somebody does.
	s.Try(t, "exec", "-d", back, "sh", "-c", "echo more > /data/more; sync")
	s.told(t, "is suspended")
	done := s.Try(t, "run", "-d", "--name", "late", s.Image, "sleep", "1000")
	if done.Code == 0 || !blamed(done.Stderr) {
		t.Errorf("without a disk: %+v", done)
	}
	eventually(t, func() error {
		if shown := s.root(t, "spearhead pool ls"); !strings.Contains(shown, "SUSPENDED") {
			return fmt.Errorf("the pool is\n%s", shown)
		}
		return nil
	})
	plug()
	if err := s.machine.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if done := s.Try(t, "exec", back, "cat", "/data/file"); done.Stdout != "kept\n" {
			return fmt.Errorf("after the boot: %+v", done)
		}
		return nil
	})
	s.works(t)
}
