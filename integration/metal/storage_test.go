package metal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
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

func TestADiskThatIsLostIsNotMissed(t *testing.T) {
	s := tests.site(t)
	name := s.volume(t, "mirrored", "-o", "size=32m")
	if err := s.machine.Pull(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.once(t, name, "echo kept > /data/file; sync")
	eventually(t, func() error {
		if shown := s.root(t, "spearhead pool show bay"); !strings.Contains(shown, "DEGRADED") {
			return fmt.Errorf("the pool is\n%s", shown)
		}
		return nil
	})
	s.works(t)
	if err := s.machine.Plug(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
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
// a restart ends that. The node says so, and is well again when they are.
func TestDisksThatHang(t *testing.T) {
	s := tests.site(t)
	id := s.Run(t, s.Image, "sleep", "100000")
	stall := func(stalled bool) {
		for disk := range 2 {
			if err := s.machine.Stall(t.Context(), disk, stalled); err != nil {
				t.Fatal(err)
			}
		}
	}
	stall(true)
	// What the kernel knows without its disks, such as how much is free, it still tells.
	done := s.Try(t, "run", "-d", "--name", "stalled", "-v", "stalled:/data", s.Image, "sleep", "1000")
	if done.Code == 0 || !blamed(done.Stderr) {
		t.Errorf("with disks that hang: %+v", done)
	}
	if got := s.Docker(t, "exec", id, "echo", "here"); got != "here" {
		t.Errorf("a container that runs says %q", got)
	}
	stall(false)
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
	for disk := range 2 {
		if err := s.machine.Pull(t.Context(), disk); err != nil {
			t.Fatal(err)
		}
	}
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
	for disk := range 2 {
		if err := s.machine.Plug(t.Context(), disk); err != nil {
			t.Fatal(err)
		}
	}
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
