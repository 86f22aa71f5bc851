package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// headDisk is the disk of one head: a file system in a file, which can be filled and frozen.
type headDisk struct {
	head, mounts, state string // the head's mount namespace, and what it keeps its state in
}

// within runs a program where the head sees its files. It is not bound to the test's context: it
// also mends what the test broke.
func (d headDisk) within(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "nsenter", append([]string{"--mount=" + d.mounts}, args...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s for %s: %w: %s", strings.Join(args, " "), d.head, err, out)
	}
	return nil
}

func (d headDisk) mustDo(t *testing.T, args ...string) {
	t.Helper()
	if err := d.within(args...); err != nil {
		t.Fatal(err)
	}
}

// ownDisk stops a head and lets it go on with a small disk of its own under the same files.
func ownDisk(t *testing.T, b *bed.Bed, head string) headDisk {
	t.Helper()
	d := headDisk{head: head, mounts: filepath.Join(b.RunDir(), head+".mnt"), state: filepath.Join(b.Dir, head, "state")}
	image, fresh := filepath.Join(b.Dir, head+".img"), filepath.Join(b.Dir, head+".disk")
	t.Cleanup(func() { os.Remove(image) })
	file, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(96 << 20); err != nil {
		t.Fatal(err)
	}
	file.Close()
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(fresh) })
	fault(t, b, "kill", head)
	d.mustDo(t, "mount", "-o", "loop", image, fresh)
	d.mustDo(t, "cp", "-a", d.state+"/.", fresh)
	d.mustDo(t, "umount", fresh)
	d.mustDo(t, "mount", "-o", "loop", image, d.state)
	fault(t, b, "start", head)
	return d
}

// TestF12F13F16DisksOfLeadersFail has the leader's disk fill up (F12) and hang (F13) under load: another
// head leads, what was acknowledged is there, and the head comes back when its disk does. Its
// files, damaged while it was down, are refused, and the others go on (F16).
func TestF12F13F16DisksOfLeadersFail(t *testing.T) {
	for _, tool := range []string{"nsenter", "mkfs.ext4", "fsfreeze"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: install it with scripts/setup test", tool)
		}
	}
	setting.Shared(t) // skips where racks cannot be
	b, err := setting.New(t.Context(), filepath.Join(t.TempDir(), "rack"), "--heads", "3", "--nodes", "2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	awaitWhole(t, b)
	b.Docker(t, "pull", "-q", b.Image)
	disks := map[string]headDisk{}
	for _, head := range heads {
		disks[head] = ownDisk(t, b, head)
		awaitWhole(t, b)
	}
	for _, c := range []struct {
		name, fails string // and what a head says whose write has failed
		spoil, mend []string
	}{
		{"F12Full", "no space left on device", []string{"sh", "-c", "dd if=/dev/zero of=$0/filler bs=1M 2>/dev/null; sync"}, []string{"sh", "-c", "rm -f $0/filler"}},
		{"F13Hangs", "the disk has not answered", []string{"fsfreeze", "--freeze"}, []string{"fsfreeze", "--unfreeze"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			users := startLoad(t, b)
			users.workedThrough(t, heads...)
			leader := b.Leader(t)
			disk := disks[leader]
			broken := time.Now()
			mended := false
			t.Cleanup(func() {
				if !mended {
					_ = disk.within(append(c.mend, disk.state)...)
				}
			})
			seen := len(logOf(t, b, leader))
			disk.mustDo(t, append(c.spoil, disk.state)...)
			bed.Eventually(t, func() error {
				writeMuch(t, b, others(leader))
				if said := logOf(t, b, leader)[seen:]; !strings.Contains(said, c.fails) {
					return fmt.Errorf("no write of %s has failed: its log lacks %q", leader, c.fails)
				}
				return nil
			})
			users.workedThrough(t, others(leader)...)
			t.Logf("work goes on through the others %s after the disk of the leader broke", since(broken))
			disk.mustDo(t, append(c.mend, disk.state)...)
			mended = true
			restartIfEnded(t, b, leader)
			users.workedThrough(t, heads...)
			users.settle(t, b)
		})
	}
	t.Run("F16Damaged", func(t *testing.T) { damagedFilesAreRefused(t, b, disks) })
}

// writeMuch has something written that does not fit into what a file has room for, by
// whichever head leads.
func writeMuch(t *testing.T, b *bed.Bed, through []string) {
	t.Helper()
	labels := map[string]string{}
	for i := range 50 {
		labels[fmt.Sprintf("much-%d", i)] = strings.Repeat("x", 4000)
	}
	caller := newAPI(t, b.Through(t, through[0]))
	a := caller.call(t.Context(), bed.Patience, "POST", "/containers/create", map[string]any{"Image": b.Image, "Labels": labels})
	var made struct{ ID string }
	if json.Unmarshal(a.body, &made) == nil && a.status == 201 {
		caller.call(t.Context(), bed.Patience, "DELETE", "/containers/"+made.ID, nil)
	}
}

// restartIfEnded starts a head that has ended itself because its disk failed it, as systemd would.
func restartIfEnded(t *testing.T, b *bed.Bed, head string) {
	t.Helper()
	bed.Eventually(t, func() error {
		if err := awaitHead(t, b, head); err == nil {
			return nil
		}
		_, err := b.Dev(t.Context(), "fault", "start", head)
		return err
	})
}

// awaitHead reports whether a head answers and knows a leader.
func awaitHead(t *testing.T, b *bed.Bed, head string) error {
	t.Helper()
	status, err := statusOf(t, b, head)
	if err == nil && status.Raft.Leader == "" {
		err = fmt.Errorf("%s sees no leader", head)
	}
	return err
}

// damagedFilesAreRefused cuts a head's raft file in half while it is down.
func damagedFilesAreRefused(t *testing.T, b *bed.Bed, disks map[string]headDisk) {
	users := startLoad(t, b)
	head := others(b.Leader(t))[0]
	disk, file := disks[head], filepath.Join(disks[head].state, "raft", "raft.db")
	users.workedThrough(t, heads...)
	fault(t, b, "kill", head)
	disk.mustDo(t, "cp", file, file+".whole")
	disk.mustDo(t, "truncate", "--size=16384", file)
	endsSaying(t, b, head, "cannot be trusted")
	users.workedThrough(t, others(head)...)
	disk.mustDo(t, "mv", file+".whole", file)
	restartIfEnded(t, b, head)
	users.workedThrough(t, heads...)
	users.settle(t, b)
}
