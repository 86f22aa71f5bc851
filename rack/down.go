package rack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// downDeadline bounds Down as a whole.
const downDeadline = time.Minute

// Down removes the rack and all that belongs to it, containers and images
// included. Its record goes after all that it tells of, so a Down that was cut
// short can be repeated.
func (r *Rack) Down(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downDeadline)
	defer cancel()
	release, err := lockFile(ctx, r.lock())
	if err != nil {
		return err
	}
	defer release()
	if err := r.killAll(ctx); err != nil {
		return fmt.Errorf("cannot end the rack's processes: %w", err)
	}
	for _, step := range []func() error{r.unwire, r.closeWay, r.removeHosts} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := r.removePool(ctx); err != nil {
		return err
	}
	if err := removeCgroups(ctx, r.cgroup()); err != nil {
		return err
	}
	if err := r.removeFiles(); err != nil {
		return err
	}
	return withShared(ctx, r.removeClaim)
}

// removeClaim frees the rack's addresses. With the last rack goes what all
// racks share: the folder stays while another one's lock is in it.
func (r *Rack) removeClaim() error {
	for _, path := range []string{claimPath(r.index), r.lock()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot free the rack's addresses: %w", err)
		}
	}
	held, err := claims()
	if err != nil || len(held) > 0 {
		return err
	}
	if err := restoreForwarding(); err != nil {
		return err
	}
	rest, err := os.ReadDir(racksDir)
	if err != nil {
		return fmt.Errorf("cannot look for other racks: %w", err)
	}
	if len(rest) > 1 { // not only the shared lock
		return nil
	}
	for _, path := range []string{sharedLock(), racksDir} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return fmt.Errorf("cannot remove the racks' run directory: %w", err)
		}
	}
	// a head of this machine may have its socket there
	if err := os.Remove(filepath.Dir(racksDir)); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the run directory: %w", err)
	}
	return nil
}

// removeFiles removes what the rack put into its folder, the record last, and
// the folders above that the rack made. What is in a folder without a record is
// not the rack's.
func (r *Rack) removeFiles() error {
	if err := unmountBelow(r.dir); err != nil {
		return err
	}
	if isThere(filepath.Join(r.dir, recordName)) {
		if err := r.removeEntries(); err != nil {
			return err
		}
	}
	for _, dir := range r.rec.MadeDirs {
		if err := os.Remove(dir); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove the rack's folder: %w", err)
		}
	}
	return nil
}

func (r *Rack) removeEntries() error {
	for _, name := range r.entries() {
		if name == recordName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.dir, name)); err != nil {
			return fmt.Errorf("cannot remove the rack's files: %w", err)
		}
	}
	if err := os.Remove(filepath.Join(r.dir, recordName)); err != nil {
		return fmt.Errorf("cannot remove the rack's record: %w", err)
	}
	return nil
}

// unmountBelow takes off what is mounted below dir in this mount namespace:
// removing files must never reach into a file system that is mounted there.
func unmountBelow(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return fmt.Errorf("cannot list mounts: %w", err)
	}
	for i := len(mounts) - 1; i >= 0; i-- {
		if mounts[i].Mountpoint == dir {
			continue
		}
		if err := unix.Unmount(mounts[i].Mountpoint, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("cannot unmount %s: %w", mounts[i].Mountpoint, err)
		}
	}
	return nil
}

// cgroupRoots are the places where hierarchies of cgroups are mounted: one of
// version 2, or many of version 1.
func cgroupRoots() ([]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("cannot list mounts: %w", err)
	}
	var roots []string
	for _, m := range mounts {
		roots = append(roots, m.Mountpoint)
	}
	return roots, nil
}

// removeCgroups removes a cgroup with all below it, in every hierarchy. One
// whose last process has just ended may be busy for a moment longer.
func removeCgroups(ctx context.Context, path string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		err := poll(ctx, 2*time.Millisecond, func() (bool, error) {
			err := removeTree(filepath.Join(root, path))
			if errors.Is(err, unix.EBUSY) {
				return false, nil
			}
			return true, err
		})
		if err != nil {
			return fmt.Errorf("cannot remove cgroups: %w", err)
		}
	}
	return nil
}

// removeTree removes the folders of a cgroup, the innermost first. Their
// files are not files that could be removed.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
