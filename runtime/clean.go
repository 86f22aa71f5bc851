package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// Clean removes what an ended run has left in the kernel and in RunDir: its
// control groups, the OCI runtime's record and the bundle. Cleaning again is
// no error; cleaning what runs is KindConflict.
func (r *Runtime) Clean(ctx context.Context, id string) error {
	if err := iod.CheckName(id); err != nil {
		return model.WrapError(model.KindInvalid, err, "invalid container id")
	}
	st, err := r.status(ctx, id)
	if err != nil && !model.IsKind(err, model.KindNotFound) {
		return err
	}
	if st.Process != nil {
		return model.Errorf(model.KindConflict, "cannot clean up container %s: it is running", id)
	}
	if err := failpoint.Hit("runtime.clean"); err != nil {
		return err
	}
	if !r.removeCgroups(id) {
		// Something is left in them. The OCI runtime kills and waits; what is frozen
		// would not die.
		if record, err := r.readRecord(id); err == nil {
			if err := r.groupAt(record.Group).Thaw(); err != nil {
				return err
			}
		}
		if err := r.deleteForce(ctx, id); err != nil {
			return err
		}
		r.awaitNoCgroups(ctx, id)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(r.ociRoot(), id)), os.RemoveAll(r.bundle(id))); err != nil {
		return fmt.Errorf("cannot clean up container: %w", err)
	}
	r.removeAccountGroups()
	return nil
}

func (r *Runtime) deleteForce(ctx context.Context, id string) error {
	argv := append(r.command(), "delete", "--force", id)
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot clean up container: %w: %.200s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// A hierarchy is a directory where the OCI runtime makes control groups. crun
// also makes them in the place of one that is not mounted (such as unified on a
// hybrid machine, where it was unmounted): these are plain directories.
type hierarchy struct {
	dir   string
	plain bool
}

func listHierarchies() ([]hierarchy, error) {
	if cgroupVersion() == 2 {
		return []hierarchy{{dir: cgroupRoot}}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, fmt.Errorf("cannot list control groups: %w", err)
	}
	var out []hierarchy
	for _, e := range entries {
		var st unix.Statfs_t
		dir := filepath.Join(cgroupRoot, e.Name())
		if !e.IsDir() || unix.Statfs(dir, &st) != nil { // links name hierarchies a second time
			continue
		}
		out = append(out, hierarchy{dir, st.Type != unix.CGROUP_SUPER_MAGIC && st.Type != unix.CGROUP2_SUPER_MAGIC})
	}
	return out, nil
}

// accountGroups lists the directories of accounts in a hierarchy.
func (r *Runtime) accountGroups(h hierarchy) []string {
	parent := filepath.Join(h.dir, r.cfg.CgroupParent)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(parent, e.Name()))
		}
	}
	return out
}

// removeCgroups removes a container's groups of all hierarchies. It reports
// whether all of them are gone.
func (r *Runtime) removeCgroups(id string) bool {
	gone := true
	for _, h := range r.hierarchies {
		for _, dir := range r.groupsOf(h, id) {
			if h.plain {
				gone = os.RemoveAll(dir) == nil && gone
				continue
			}
			if err := unix.Rmdir(dir); err == nil || err == unix.ENOENT {
				continue
			}
			gone = removeNested(dir) && gone
		}
	}
	return gone
}

// groupsWait is for how long groups are tried again that something which has
// been killed is still leaving.
const groupsWait = 5 * time.Second

// awaitNoCgroups removes a container's groups when the last that was in them has
// left: an OCI runtime that was killed has no record of whom it waits for. It
// polls, for groups of version 1 tell nobody.
func (r *Runtime) awaitNoCgroups(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, groupsWait)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !r.removeCgroups(id) {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// groupsOf lists where a container's group may be in a hierarchy: with any
// account, as it may be cleaned up without a record of its run, and where the
// record says. A parent that was asked for stays: it may be somebody else's.
func (r *Runtime) groupsOf(h hierarchy, id string) (dirs []string) {
	for _, account := range r.accountGroups(h) {
		dirs = append(dirs, filepath.Join(account, id))
	}
	if record, err := r.readRecord(id); err == nil && path.Base(record.Group) == id {
		if dir := filepath.Join(h.dir, record.Group); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// removeNested removes groups that the container has made in its own.
func removeNested(dir string) bool {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	gone := err == nil
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := unix.Rmdir(dirs[i]); err != nil && err != unix.ENOENT {
			gone = false
		}
	}
	return gone
}

// made ends the making of a container's groups.
func (r *Runtime) made() {
	r.cgroups.RUnlock()
	if r.uncleaned.Load() {
		r.removeAccountGroups()
	}
}

// removeAccountGroups removes the groups of accounts that have no container
// left. While a container is being made that is left to who makes it.
func (r *Runtime) removeAccountGroups() {
	r.cleaning.Lock() // whoever comes last looks again
	defer r.cleaning.Unlock()
	r.uncleaned.Store(true)
	if !r.cgroups.TryLock() {
		return
	}
	defer r.cgroups.Unlock()
	r.uncleaned.Store(false)
	for _, h := range r.hierarchies {
		for _, account := range r.accountGroups(h) {
			if h.plain {
				_ = os.Remove(filepath.Join(account, "cgroup.procs")) // crun writes it like a group's
			}
			_ = unix.Rmdir(account) // the kernel refuses if a container is in it
		}
	}
}
