package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// group is the control group of a builder: its limits hold for the builder,
// in "daemon" below it, and for the steps, in "steps", together. It speaks
// version 1 (kernel documentation, admin-guide/cgroup-v1) and version 2
// (admin-guide/cgroup-v2).
type group struct {
	root string // where hierarchies are mounted
	path string // of the group, in each hierarchy
}

// Below the group.
const (
	daemonGroup = "daemon"
	stepsGroup  = "steps"
)

// steps is the group of the steps of builds.
func (g group) steps() string { return filepath.Join(g.path, stepsGroup) }

func (g group) unified() bool {
	var st unix.Statfs_t
	return unix.Statfs(g.root, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// controllers are those that limits are set in.
var controllers = []string{"memory", "cpu", "pids", "blkio"}

// hierarchies are the folders of the group, by controller; of version 2 there
// is one.
func (g group) hierarchies() map[string]string {
	if g.unified() {
		return map[string]string{"": filepath.Join(g.root, g.path)}
	}
	found := map[string]string{}
	for _, c := range controllers {
		if _, err := os.Stat(filepath.Join(g.root, c)); err == nil {
			found[c] = filepath.Join(g.root, c, g.path)
		}
	}
	return found
}

// everywhere are the folders that the group may have, also in hierarchies in
// which it has no limits: the steps of builds are put into all of them.
func (g group) everywhere() []string {
	if g.unified() {
		return []string{filepath.Join(g.root, g.path)}
	}
	all, _ := filepath.Glob(filepath.Join(g.root, "*", g.path)) // the pattern is sound
	return all
}

// make makes the group with these limits.
func (g group) make(l *model.Limits) error {
	for controller, dir := range g.hierarchies() {
		if err := g.makeIn(controller, dir, l); err != nil {
			return fmt.Errorf("cannot make the builder's control group: %w", err)
		}
	}
	return nil
}

func (g group) makeIn(controller, dir string, l *model.Limits) error {
	if controller == "" {
		if err := enableAbove(g.root, g.path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range settings(controller, l) {
		if err := os.WriteFile(filepath.Join(dir, s.name), []byte(s.value), 0o644); err != nil && !optional(s.name, err) {
			return err
		}
	}
	if controller == "" {
		if err := enable(dir); err != nil {
			return err
		}
	}
	for _, below := range []string{daemonGroup, stepsGroup} {
		if err := os.MkdirAll(filepath.Join(dir, below), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// optional reports whether a kernel may lack a setting: accounting of swap is
// often off, and then memory alone is limited.
func optional(name string, err error) bool {
	return errors.Is(err, fs.ErrNotExist) && (name == "memory.swap.max" || name == "memory.memsw.limit_in_bytes")
}

// setting is a file of a group and what to write there.
type setting struct{ name, value string }

// settings are what to write, in order: memory with swap may not be less than
// memory without.
func settings(controller string, l *model.Limits) (set []setting) {
	put := func(name string, value int64) {
		if value > 0 {
			set = append(set, setting{name, strconv.FormatInt(value, 10)})
		}
	}
	period := l.CPUPeriod
	if period <= 0 {
		period = 100_000
	}
	switch controller {
	case "":
		put("memory.max", l.Memory)
		put("pids.max", l.Pids)
		if l.MemorySwap >= l.Memory && l.Memory > 0 {
			set = append(set, setting{"memory.swap.max", strconv.FormatInt(l.MemorySwap-l.Memory, 10)})
		}
		if l.CPUQuota > 0 {
			set = append(set, setting{"cpu.max", fmt.Sprintf("%d %d", l.CPUQuota, period)})
		}
	case "memory":
		put("memory.limit_in_bytes", l.Memory)
		if l.MemorySwap >= l.Memory && l.Memory > 0 {
			put("memory.memsw.limit_in_bytes", l.MemorySwap)
		}
	case "pids":
		put("pids.max", l.Pids)
	case "cpu":
		put("cpu.cfs_quota_us", l.CPUQuota)
		put("cpu.shares", l.CPUShares)
		if l.CPUQuota > 0 {
			put("cpu.cfs_period_us", period)
		}
	}
	return set
}

// enable lets groups below dir limit what dir limits (version 2).
func enable(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+memory +cpu +pids"), 0o644)
}

// enableAbove is enable for all groups above path.
func enableAbove(root, path string) error {
	above := filepath.Dir(filepath.Clean("/" + path))
	if above != "/" {
		if err := enableAbove(root, above); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(root, above), 0o755); err != nil {
		return err
	}
	return enable(filepath.Join(root, above))
}

// add puts the builder's process into the group.
func (g group) add(pid int) error {
	for _, dir := range g.hierarchies() {
		err := os.WriteFile(filepath.Join(dir, daemonGroup, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
		if err != nil {
			return fmt.Errorf("cannot put the builder into its control group: %w", err)
		}
	}
	return nil
}

// remove removes the group and all below it. Its processes have been killed,
// but the kernel may need a moment to see them go, which it does not tell of.
func (g group) remove(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var busy error
		for _, dir := range g.everywhere() {
			if err := removeGroups(dir); err != nil {
				busy = err
			}
		}
		if busy == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("cannot remove the builder's control group: %w", busy)
		}
	}
}

// removeGroups removes a group and those below it, the lowest first.
func removeGroups(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroups(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
