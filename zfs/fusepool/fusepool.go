package fusepool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
)

// Config says where a pool lives.
type Config struct {
	// Dir is an absolute directory for the disk, the mounted datasets and what
	// the daemon needs. It is made when missing, and removed by Destroy.
	Dir string
	// Name is the pool's; "" is "spearhead".
	Name string
	// Size is the disk's in bytes, at least 64 MiB; it is a sparse file. 0 is
	// 8 GiB.
	Size int64
}

// Daemon is a running pool.
type Daemon struct {
	// Pool is the name of the pool, whose root dataset is mounted.
	Pool string
	// Mountpoint is the directory of the root dataset.
	Mountpoint string

	dir  string
	proc process
}

// process tells a daemon from a later process with the same id.
type process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot
}

const (
	defaultName = "spearhead"
	defaultSize = 8 << 30
	minSize     = 64 << 20
	stateFile   = "daemon.json"
	diskFile    = "disk"
	mountsDir   = "mnt"
	readyWait   = 30 * time.Second
)

// Start makes a pool below cfg.Dir and the daemon that carries it, or finds
// those that are there: a daemon that runs is taken as it is, a pool without one
// gets a new one. It needs root and zfs-fuse (KindUnavailable without).
func Start(ctx context.Context, cfg Config) (*Daemon, error) {
	d, err := newDaemon(&cfg)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.path(mountsDir), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make pool directory: %w", err)
	}
	if err := d.find(); err != nil {
		return nil, err
	}
	if d.proc.running() {
		// One that was killed just now still runs for a moment.
		if err := d.await(ctx); err == nil || d.proc.running() {
			return d, err
		}
	}
	if err := d.clear(); err != nil {
		return nil, err
	}
	if err := shareMounts(d.path(mountsDir)); err != nil {
		return nil, err
	}
	if err := d.launch(); err != nil {
		return nil, errors.Join(err, detachAll(d.path(mountsDir)))
	}
	if err := d.bring(ctx, cfg.Size); err != nil {
		return nil, errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
	}
	return d, nil
}

func newDaemon(cfg *Config) (*Daemon, error) {
	if cfg.Name == "" {
		cfg.Name = defaultName
	}
	if cfg.Size == 0 {
		cfg.Size = defaultSize
	}
	if !filepath.IsAbs(cfg.Dir) || cfg.Size < minSize {
		return nil, model.Errorf(model.KindInvalid, "a pool needs an absolute directory and at least %d bytes", minSize)
	}
	for _, program := range []string{"zfs-fuse", "zpool", "zfs", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, model.WrapError(model.KindUnavailable, err, "%s is not installed; on Debian: apt install zfs-fuse util-linux", program)
		}
	}
	d := &Daemon{Pool: cfg.Name, dir: filepath.Clean(cfg.Dir)}
	d.Mountpoint = d.path(mountsDir, cfg.Name)
	return d, nil
}

func (d *Daemon) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

// find reads which process the last Start left.
func (d *Daemon) find() error {
	err := atomicfile.ReadJSON(d.path(stateFile), &d.proc)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot read pool state: %w", err)
	}
	return nil
}

// clear removes what a daemon left that died: mounts that nothing answers on.
func (d *Daemon) clear() error {
	d.proc = process{}
	return detachAll(d.path(mountsDir))
}

// Command returns the argv that zfs's arguments are added to, for zfs.Config:
// the daemon can only be spoken to from its own mount namespace.
func (d *Daemon) Command() []string { return d.command("zfs") }

func (d *Daemon) command(program string) []string {
	return []string{"nsenter", "--mount=/proc/" + strconv.Itoa(d.proc.Pid) + "/ns/mnt", "--", program}
}

func (d *Daemon) run(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	argv := append(d.command(program), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot run %s %s: %s: %w", program, args[0], strings.TrimSpace(string(out)), err)
	}
	return string(out), nil
}

// await waits until the daemon answers. It polls: the daemon tells nobody.
func (d *Daemon) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, err := d.run(ctx, "zpool", "list", "-H", "-o", "name")
		if err == nil {
			return nil
		}
		if !d.proc.running() {
			return model.WrapError(model.KindUnavailable, err, "zfs-fuse ended by itself; is /dev/fuse there?")
		}
		select {
		case <-ctx.Done():
			return model.WrapError(model.KindUnavailable, err, "zfs-fuse does not answer")
		case <-ticker.C:
		}
	}
}

// bring makes the pool, or imports the one that is on the disk already.
func (d *Daemon) bring(ctx context.Context, size int64) error {
	if err := d.await(ctx); err != nil {
		return err
	}
	disk := d.path(diskFile)
	made := d.path("made") // is there once the disk holds a pool
	if _, err := os.Stat(made); err == nil {
		if _, err := d.run(ctx, "zpool", "import", "-f", "-d", d.dir, d.Pool); err != nil {
			return d.mountRoot(ctx, err)
		}
		return nil
	}
	if err := os.Truncate(disk, size); errors.Is(err, os.ErrNotExist) {
		file, err := os.OpenFile(disk, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return fmt.Errorf("cannot make disk: %w", err)
		}
		if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
			return fmt.Errorf("cannot make disk: %w", err)
		}
	}
	if _, err := d.run(ctx, "zpool", "create", "-f", "-m", d.Mountpoint, d.Pool, disk); err != nil {
		if err := d.mountRoot(ctx, err); err != nil {
			return err
		}
	}
	return atomicfile.Write(made, nil, 0o600)
}

// mountRoot mounts the root dataset of a pool that was made or imported, but
// not mounted: on a busy machine zfs-fuse sometimes takes its own mountpoint
// for busy, and a moment later not. cause is returned if it stays so.
func (d *Daemon) mountRoot(ctx context.Context, cause error) error {
	if _, err := d.run(ctx, "zpool", "list", "-H", "-o", "name", d.Pool); err != nil {
		return cause
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for range mountAttempts {
		if _, err := d.run(ctx, "zfs", "mount", "-a"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return cause
		case <-ticker.C:
		}
	}
	return cause
}

const mountAttempts = 50

// Stop exports the pool and ends the daemon; Start brings the pool back. What
// still uses a dataset loses it.
func (d *Daemon) Stop(ctx context.Context) error {
	var exported error
	if d.proc.running() {
		_, exported = d.run(ctx, "zpool", "export", "-f", d.Pool)
		if err := d.proc.end(ctx); err != nil {
			return errors.Join(exported, err)
		}
	}
	if err := detachAll(d.path(mountsDir)); err != nil {
		return errors.Join(exported, err)
	}
	if err := os.Remove(d.path(stateFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove pool state: %w", err)
	}
	return nil
}

// Destroy ends the daemon of the pool in dir, if one runs, and removes pool
// and directory. A directory that is not there is no error.
func Destroy(ctx context.Context, dir string) error {
	d := &Daemon{dir: filepath.Clean(dir)}
	if err := d.find(); err != nil {
		return err
	}
	if err := d.proc.end(ctx); err != nil {
		return err
	}
	if err := detachAll(d.path(mountsDir)); err != nil {
		return err
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("cannot remove pool: %w", err)
	}
	return nil
}

func detachAll(dir string) error {
	for {
		err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot unmount datasets: %w", err)
		}
	}
}
