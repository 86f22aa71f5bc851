package zfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// Config says where a Pool lives.
type Config struct {
	// Dataset is the dataset that everything is kept below, "tank/spearhead".
	// It is made if only its pool exists.
	Dataset string
	// Command is the argv that zfs's arguments are added to; empty is "zfs".
	// A fusepool needs its own (fusepool.Daemon.Command).
	Command []string
	// Timeout is the deadline of one command; 0 is 30 seconds.
	Timeout time.Duration
	// Logger hears of retries and of commands that hang; nil is silence.
	Logger *slog.Logger
}

// Pool is a tree of datasets below one of them. Names given to its methods
// are relative to that one. It may be used by many goroutines at once.
type Pool struct {
	root       string // dataset
	mountpoint string // of root
	run        *runner
	log        *slog.Logger
	resuming   ability // to go on with streams that broke off
}

// Property names that methods take and return beside those of zfs itself:
// what ZFS calls user properties, marked by a colon.
const userPropertyMark = ":"

// Open opens the tree below cfg.Dataset, which is made when it is missing. Its
// errors are of KindInvalid for a bad name, KindNotFound for a missing pool
// and KindUnavailable when zfs does not answer.
func Open(ctx context.Context, cfg Config) (*Pool, error) {
	if err := checkName(cfg.Dataset); err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{root: cfg.Dataset, run: newRunner(cfg.Command, cfg.Timeout, log), log: log}
	if err := p.ensureRoot(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pool) ensureRoot(ctx context.Context) error {
	values, err := p.get(ctx, p.root, "mountpoint")
	if model.IsKind(err, model.KindNotFound) && strings.Contains(p.root, "/") {
		if _, err = p.run.zfs(ctx, "create", "-p", p.root); err == nil {
			values, err = p.get(ctx, p.root, "mountpoint")
		}
	}
	if err != nil {
		return fmt.Errorf("cannot open dataset %s: %w", p.root, err)
	}
	p.mountpoint = values["mountpoint"]
	if !filepath.IsAbs(p.mountpoint) {
		return model.Errorf(model.KindInvalid, "dataset %s has the mountpoint %q; set its mountpoint property to a directory", p.root, p.mountpoint)
	}
	return p.mount(ctx, p.root, p.mountpoint)
}

// Create makes a file system and mounts it. It returns its directory, or
// KindConflict if the name is taken.
func (p *Pool) Create(ctx context.Context, name string, properties map[string]string) (string, error) {
	return p.add(ctx, name, "create", properties, "")
}

// Clone makes a file system from a snapshot ("name@snap") and mounts it. It
// returns its directory, or KindConflict if the name is taken. Properties are
// set in the same step, so a clone never exists without them.
func (p *Pool) Clone(ctx context.Context, snapshot, name string, properties map[string]string) (string, error) {
	if err := checkSnapshot(snapshot); err != nil {
		return "", err
	}
	return p.add(ctx, name, "clone", properties, p.full(snapshot))
}

func (p *Pool) add(ctx context.Context, name, verb string, properties map[string]string, origin string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	args := []string{verb}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if err := checkProperty(key, properties[key]); err != nil {
			return "", err
		}
		args = append(args, "-o", key+"="+properties[key])
	}
	if origin != "" {
		args = append(args, origin)
	}
	if _, err := p.run.zfs(ctx, append(args, p.full(name))...); err != nil {
		return "", fmt.Errorf("cannot %s dataset: %w", verb, err)
	}
	dir := p.Dir(name)
	return dir, p.mount(ctx, p.full(name), dir)
}

// Dir returns the directory that a dataset is mounted on, now or when it is
// mounted.
func (p *Pool) Dir(name string) string {
	return filepath.Join(p.mountpoint, filepath.FromSlash(name))
}

// Root returns the directory of the tree's own dataset.
func (p *Pool) Root() string { return p.mountpoint }

// Stuck returns how many commands, and questions to the kernel, were given up
// and have not ended since: they sleep in the kernel, which waits for disks.
func (p *Pool) Stuck() int { return int(p.run.stuck.Load()) }

// Mount mounts a dataset if it is not mounted, and returns its directory.
func (p *Pool) Mount(ctx context.Context, name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	dir := p.Dir(name)
	return dir, p.mount(ctx, p.full(name), dir)
}

// mount answers when the directory shows the dataset: zfs-fuse may have said
// before that it is mounted.
func (p *Pool) mount(ctx context.Context, dataset, dir string) error {
	shows := func(ctx context.Context) (bool, error) { return p.shows(ctx, dir) }
	if mounted, err := shows(ctx); mounted || err != nil {
		return err
	}
	err := p.retryBusy(ctx, func() error { // the kernel may still be ending its last mount
		_, err := p.run.zfs(ctx, "mount", dataset)
		return err
	})
	if err != nil && !errors.Is(err, errMounted) {
		return fmt.Errorf("cannot mount dataset: %w", err)
	}
	return await(ctx, shows, func(cause error) error {
		return unavailable(fmt.Errorf("dataset %s does not show at its mountpoint: %w", dataset, errors.Join(cause, err)))
	})
}

// await polls, for the kernel tells nobody of what zfs-fuse mounts, until cond
// holds, or answers with what late makes of the reason that it does not.
func await(ctx context.Context, cond func(context.Context) (bool, error), late func(error) error) error {
	ctx, cancel := context.WithTimeout(ctx, mountWait)
	defer cancel()
	ticker := time.NewTicker(mountPoll)
	defer ticker.Stop()
	for {
		switch holds, err := cond(ctx); {
		case err != nil:
			return late(err)
		case holds:
			return nil
		}
		select {
		case <-ctx.Done():
			return late(ctx.Err())
		case <-ticker.C:
		}
	}
}

// Unmount unmounts a dataset that nobody uses, so that nothing of what it held
// is remembered; Mount mounts it again. One that is not mounted is no error.
func (p *Pool) Unmount(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	dir := p.Dir(name)
	if mounted, err := p.shows(ctx, dir); !mounted || err != nil {
		return err
	}
	err := p.retryBusy(ctx, func() error {
		_, err := p.run.zfs(ctx, "unmount", p.full(name))
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot unmount dataset: %w", err)
	}
	hidden := func(ctx context.Context) (bool, error) {
		mounted, err := p.shows(ctx, dir)
		return !mounted, err
	}
	return await(ctx, hidden, func(cause error) error {
		return unavailable(fmt.Errorf("dataset %s still shows at its mountpoint: %w", name, cause))
	})
}

const (
	mountPoll = 5 * time.Millisecond
	mountWait = 10 * time.Second
)

// shows tells whether a dataset is mounted on dir.
func (p *Pool) shows(ctx context.Context, dir string) (bool, error) {
	return p.run.look(ctx, func() bool { return isMountpoint(dir) })
}

// Ask has work look at, or make, a few files of the tree. Where they hang it is
// given up as a command is, and ends unheard when the storage answers again.
func (p *Pool) Ask(ctx context.Context, work func() error) error {
	failed := make(chan error, 1)
	_, err := p.run.look(ctx, func() bool {
		failed <- work()
		return true
	})
	if err != nil {
		return err
	}
	return <-failed
}

// isMountpoint tells whether dir lies on another file system than its parent,
// which is true of every mounted dataset.
func isMountpoint(dir string) bool {
	var at, above unix.Stat_t
	if unix.Lstat(dir, &at) != nil || unix.Lstat(filepath.Dir(dir), &above) != nil {
		return false
	}
	return at.Dev != above.Dev
}

// Snapshot takes a snapshot, named "name@snap"; KindConflict if it exists.
func (p *Pool) Snapshot(ctx context.Context, snapshot string) error {
	if err := checkSnapshot(snapshot); err != nil {
		return err
	}
	if _, err := p.run.zfs(ctx, "snapshot", p.full(snapshot)); err != nil {
		return fmt.Errorf("cannot take snapshot: %w", err)
	}
	return nil
}

// Set sets properties of a dataset, one after the other.
func (p *Pool) Set(ctx context.Context, name string, properties map[string]string) error {
	if err := checkName(name); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if err := checkProperty(key, properties[key]); err != nil {
			return err
		}
		if _, err := p.run.zfs(ctx, "set", key+"="+properties[key], p.full(name)); err != nil {
			return fmt.Errorf("cannot set property %s: %w", key, err)
		}
	}
	return nil
}

// Get returns properties of a dataset or snapshot, sizes in bytes. A user
// property that is not set is missing in the answer.
func (p *Pool) Get(ctx context.Context, name string, properties ...string) (map[string]string, error) {
	base, _, _ := strings.Cut(name, "@")
	if err := checkName(base); err != nil {
		return nil, err
	}
	return p.get(ctx, p.full(name), properties...)
}

func (p *Pool) get(ctx context.Context, dataset string, properties ...string) (map[string]string, error) {
	out, err := p.run.zfs(ctx, "get", "-Hp", "-o", "property,value", strings.Join(properties, ","), dataset)
	if err != nil {
		return nil, fmt.Errorf("cannot read properties: %w", err)
	}
	values := make(map[string]string, len(properties))
	for line := range strings.Lines(out) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if !ok || value == "-" && strings.Contains(key, userPropertyMark) {
			continue
		}
		values[key] = value
	}
	return values, nil
}

// Children lists the file systems directly below parent ("" is the tree's own
// root) by the last part of their names, each with the value of one user
// property ("" where it is not set). A missing parent has no children.
func (p *Pool) Children(ctx context.Context, parent, property string) (map[string]string, error) {
	dataset := p.root
	if parent != "" {
		if err := checkName(parent); err != nil {
			return nil, err
		}
		dataset = p.full(parent)
	}
	out, err := p.run.zfs(ctx, "list", "-H", "-o", "name,"+property, "-t", "filesystem", "-r", "-d", "1", dataset)
	if model.IsKind(err, model.KindNotFound) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list datasets: %w", err)
	}
	children := make(map[string]string)
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if name == dataset {
			continue
		}
		if value == "-" {
			value = ""
		}
		children[path.Base(name)] = value
	}
	return children, nil
}

// Destroy destroys a dataset with its snapshots and everything below it, and
// not the clones of them: those are refused with KindConflict. A missing
// dataset is no error. While the kernel still ends the dataset's mount it is
// tried again, for ten seconds at most.
func (p *Pool) Destroy(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := p.retryBusy(ctx, func() error {
		_, err := p.run.zfs(ctx, "destroy", "-r", p.full(name))
		return err
	})
	if err != nil && !model.IsKind(err, model.KindNotFound) {
		return fmt.Errorf("cannot destroy dataset: %w", err)
	}
	p.removeMountpoint(name)
	return nil
}

// removeMountpoint removes the empty directory that zfs-fuse, unlike OpenZFS,
// leaves behind.
func (p *Pool) removeMountpoint(name string) {
	if err := unix.Rmdir(p.Dir(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.log.Debug("mountpoint stays", "op", "zfs destroy", "err", err)
	}
}

const (
	busyFirstWait = 10 * time.Millisecond
	busyMaxWait   = 500 * time.Millisecond
	busyTotal     = 10 * time.Second
)

// retryBusy repeats try with growing pauses while it says that the dataset is
// busy. There is nothing to wait on: the kernel reports no end of a mount.
func (p *Pool) retryBusy(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, busyTotal)
	defer cancel()
	wait := busyFirstWait
	for {
		err := try()
		if !errors.Is(err, errBusy) {
			return err
		}
		p.log.Debug("dataset is busy", "op", "zfs", "wait", wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		wait = min(2*wait, busyMaxWait)
	}
}

// Used returns the bytes that only this dataset and what lies below it hold.
func (p *Pool) Used(ctx context.Context, name string) (int64, error) {
	values, err := p.Get(ctx, name, "used")
	if err != nil {
		return 0, err
	}
	used, err := strconv.ParseInt(values["used"], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot read used space: %w", err)
	}
	return used, nil
}

// Space returns the bytes that the tree uses and that are free for it.
func (p *Pool) Space(ctx context.Context) (used, available int64, err error) {
	values, err := p.get(ctx, p.root, "used", "available")
	if err != nil {
		return 0, 0, err
	}
	used, err = strconv.ParseInt(values["used"], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read used space: %w", err)
	}
	available, err = strconv.ParseInt(values["available"], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read available space: %w", err)
	}
	return used, available, nil
}

func (p *Pool) full(name string) string { return p.root + "/" + name }
