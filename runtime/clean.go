package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

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
		// Something is left in them. The OCI runtime kills and waits.
		if err := r.deleteForce(ctx, id); err != nil {
			return err
		}
		r.removeCgroups(id)
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

// hierarchies lists the directories where control groups are made. Links such
// as cpu → cpu,cpuacct are followed once.
func (r *Runtime) hierarchies() []string {
	if r.host.CgroupVersion == 2 {
		return []string{cgroupRoot}
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(cgroupRoot, e.Name()))
		}
	}
	return out
}

// accountGroups lists the directories of accounts in a hierarchy.
func (r *Runtime) accountGroups(hierarchy string) []string {
	parent := filepath.Join(hierarchy, r.cfg.CgroupParent)
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
	for _, h := range r.hierarchies() {
		for _, account := range r.accountGroups(h) {
			dir := filepath.Join(account, id)
			if err := unix.Rmdir(dir); err == nil || err == unix.ENOENT {
				continue
			}
			gone = removeNested(dir) && gone
		}
	}
	return gone
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

// removeAccountGroups removes the groups of accounts that have no container
// left, unless a container is just being made.
func (r *Runtime) removeAccountGroups() {
	if !r.cgroups.TryLock() {
		return
	}
	defer r.cgroups.Unlock()
	for _, h := range r.hierarchies() {
		for _, account := range r.accountGroups(h) {
			_ = unix.Rmdir(account) // the kernel refuses if a container is in it
		}
	}
}
