package zfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// Pools drives the machine's pools through the zpool command. It may be used by
// many goroutines at once.
type Pools struct {
	run  *runner
	make *runner // patient: many large disks, or slow ones, take minutes to be labelled
	// pause is how long the kernel gets to read a disk that was just divided.
	pause time.Duration
}

// makePatience is how long a pool may take to be made. One that is broken off
// leaves disks behind that look as if they were another pool's.
const makePatience = 15 * time.Minute

// NewPools returns a Pools. command is the argv that zpool's arguments are
// added to; empty is "zpool".
func NewPools(command []string, logger *slog.Logger) *Pools {
	if len(command) == 0 {
		command = []string{"zpool"}
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Pools{run: newRunner(command, 0, logger), make: newRunner(command, makePatience, logger), pause: divisionPause}
}

// PoolInfo describes a pool. Sizes are in bytes and as exact as zpool prints
// them, three digits.
type PoolInfo struct {
	Name                  string
	Size, Allocated, Free int64
	Health                string // ONLINE, DEGRADED, FAULTED, OFFLINE, REMOVED, UNAVAIL, SUSPENDED
}

// Full is how much of the pool is taken, in hundredths. A pool becomes slow
// above 80.
func (p *PoolInfo) Full() int {
	if p.Size <= 0 {
		return 0
	}
	return int(100 * p.Allocated / p.Size)
}

// Vdev is a line of a pool's layout: the pool itself, a mirror or raidz of it,
// or a disk.
type Vdev struct {
	Depth                 int // 0 is the pool
	Name, State           string
	Read, Write, Checksum string // numbers of errors, as zpool prints them; "" for a spare
}

// PoolStatus is a pool's layout and what is wrong with it.
type PoolStatus struct {
	PoolInfo
	Vdevs  []Vdev
	Status string // what is wrong and what to do, "" where all is well
	Scan   string // the newest scrub or resilver
	Errors string // of data
}

// List lists the pools that are imported.
func (p *Pools) List(ctx context.Context) ([]PoolInfo, error) { return p.list(ctx) }

func (p *Pools) list(ctx context.Context, names ...string) ([]PoolInfo, error) {
	out, err := p.run.zfs(ctx, append([]string{"list", "-H", "-o", "name,size,allocated,free,health"}, names...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot list pools: %w", err)
	}
	pools := []PoolInfo{}
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) != 5 {
			continue // "no pools available"
		}
		info := PoolInfo{Name: fields[0], Health: fields[4]}
		for i, into := range []*int64{&info.Size, &info.Allocated, &info.Free} {
			// A pool that is faulted has no sizes.
			if size, err := units.RAMInBytes(fields[i+1]); err == nil {
				*into = size
			}
		}
		pools = append(pools, info)
	}
	return pools, nil
}

// Health asks for the state of one pool, as in PoolInfo. While an earlier
// command hangs in the kernel it is KindUnavailable at once.
func (p *Pools) Health(ctx context.Context, name string) (string, error) {
	if n := p.run.stuck.Load(); n > 0 {
		return "", unavailable(fmt.Errorf("%d commands hang in the kernel", n))
	}
	infos, err := p.list(ctx, name)
	if err != nil || len(infos) == 0 {
		return "", cmp.Or(err, model.Errorf(model.KindNotFound, "there is no pool %s", name))
	}
	return infos[0].Health, nil
}

// PoolsCommand is the argv of the zpool that belongs to a zfs command, as in
// Config: the two are always installed side by side.
func PoolsCommand(command []string) []string {
	if len(command) == 0 {
		return nil
	}
	last := len(command) - 1
	dir, _ := filepath.Split(command[last])
	return append(slices.Clone(command[:last]), dir+"zpool")
}

// Show describes one pool; KindNotFound if it is not imported.
func (p *Pools) Show(ctx context.Context, name string) (PoolStatus, error) {
	if !poolRule.MatchString(name) {
		return PoolStatus{}, badPoolName(name)
	}
	infos, err := p.list(ctx, name)
	if err != nil {
		return PoolStatus{}, err
	}
	if len(infos) == 0 {
		return PoolStatus{}, model.Errorf(model.KindNotFound, "there is no pool %s", name)
	}
	out, err := p.run.zfs(ctx, "status", name)
	if err != nil {
		return PoolStatus{}, fmt.Errorf("cannot read the pool's status: %w", err)
	}
	status := parseStatus(out)
	status.PoolInfo = infos[0]
	return status, nil
}

// parseStatus reads what zpool status prints of one pool: paragraphs with a
// name, the layout under "config:".
func parseStatus(out string) PoolStatus {
	var s PoolStatus
	paragraphs, field := map[string]string{}, ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		name, rest, named := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case strings.HasPrefix(line, "\t") && field == "config":
			if v, ok := parseVdev(line[1:]); ok {
				s.Vdevs = append(s.Vdevs, v)
			}
		case strings.HasPrefix(line, "\t"):
			paragraphs[field] += " " + strings.TrimSpace(line)
		case named && !strings.Contains(name, " "):
			field = name
			paragraphs[field] = strings.TrimSpace(rest)
		}
	}
	s.Status = strings.TrimSpace(paragraphs["status"] + " " + paragraphs["action"])
	s.Scan = paragraphs["scan"] + paragraphs["scrub"] // the name of older versions
	s.Errors = paragraphs["errors"]
	return s
}

func parseVdev(line string) (Vdev, bool) {
	fields := strings.Fields(line)
	if len(fields) == 0 || fields[0] == "NAME" {
		return Vdev{}, false
	}
	v := Vdev{Depth: (len(line) - len(strings.TrimLeft(line, " "))) / 2, Name: fields[0]}
	for i, into := range []*string{&v.State, &v.Read, &v.Write, &v.Checksum} {
		if len(fields) > i+1 {
			*into = fields[i+1]
		}
	}
	return v, true
}

// CreatePool says what pool to make.
type CreatePool struct {
	Name       string
	Layout     string   // "stripe" (also ""), "mirror", "raidz", "raidz2", "raidz3"
	Disks      []string // absolute paths of whole disks, partitions or files
	Mountpoint string   // of its root dataset; "" is the name below /
}

var poolRule = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]{0,63}$`)

// reservedPools are words of zpool create.
var reservedPools = []string{"mirror", "raidz", "raidz1", "raidz2", "raidz3", "draid", "spare", "log", "cache", "special", "dedup"}

func badPoolName(name string) error {
	return model.Errorf(model.KindInvalid, "invalid name of a pool %.64q: use letters, digits and _ . -, a letter first, and no word of zpool's", name)
}

// leastDisks is how many disks a layout needs.
var leastDisks = map[string]int{"": 1, "stripe": 1, "mirror": 2, "raidz": 2, "raidz2": 3, "raidz3": 4}

// Create makes a pool. Disks that anything uses, or that hold a file system or
// another pool, are refused with KindConflict: nothing is ever overwritten.
func (p *Pools) Create(ctx context.Context, c CreatePool) error {
	if !poolRule.MatchString(c.Name) || slices.Contains(reservedPools, c.Name) {
		return badPoolName(c.Name)
	}
	least, known := leastDisks[c.Layout]
	switch {
	case !known:
		return model.Errorf(model.KindInvalid, "invalid layout %.32q: use stripe, mirror, raidz, raidz2 or raidz3", c.Layout)
	case len(c.Disks) < least:
		return model.Errorf(model.KindInvalid, "a pool of layout %s needs %d disks at least", c.Layout, least)
	case c.Mountpoint != "" && !filepath.IsAbs(c.Mountpoint):
		return model.Errorf(model.KindInvalid, "the mountpoint %q is not an absolute path", c.Mountpoint)
	}
	if err := checkDisks(c.Disks); err != nil {
		return err
	}
	args := []string{"create", "-O", "compression=on", "-O", "atime=off"}
	if c.Mountpoint != "" {
		args = append(args, "-m", c.Mountpoint)
	}
	args = append(args, c.Name)
	if c.Layout != "" && c.Layout != "stripe" {
		args = append(args, c.Layout)
	}
	return c.explain(p.create(ctx, append(args, c.Disks...)))
}

// zpool divides a disk, and the kernel may just be reading that anew when zpool
// wants to use what it has made: then nothing was made, and a moment later the
// same succeeds.
const (
	divisionTries = 5
	divisionPause = 3 * time.Second
)

func (p *Pools) create(ctx context.Context, args []string) error {
	for try := 1; ; try++ {
		_, err := p.make.zfs(ctx, args...)
		if err == nil || try == divisionTries || !strings.Contains(err.Error(), "devices is currently unavailable") {
			return err
		}
		pause := time.NewTimer(p.pause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// explain says why zpool has not made the pool.
func (c *CreatePool) explain(err error) error {
	if err == nil {
		return nil
	}
	switch text := err.Error(); {
	case strings.Contains(text, "use '-f' to override"):
		return model.WrapError(model.KindConflict, err, "a disk holds something already: %s; clear it first (wipefs), if that can go", refusedBecause(err))
	case strings.Contains(text, "pool already exists"):
		return model.WrapError(model.KindConflict, err, "there is a pool %s already; see spearhead pool ls, and choose another name", c.Name)
	case strings.Contains(text, "exists and is not empty"):
		at := cmp.Or(c.Mountpoint, "/"+c.Name)
		return model.WrapError(model.KindConflict, err, "the pool's files would be at %s, where there are files already; choose another place with --mountpoint", at)
	}
	return fmt.Errorf("cannot create pool: %w", err)
}

// refusedBecause is what zpool says of the disks that it does not take.
func refusedBecause(err error) string {
	_, why, _ := strings.Cut(err.Error(), "following errors:")
	why, _, _ = strings.Cut(why, ": exit status")
	return strings.Join(strings.Fields(why), " ")
}

// checkDisks refuses what is no disk, or is in use: the kernel gives a disk
// that is mounted, swapped to or part of a RAID to nobody else (O_EXCL).
func checkDisks(disks []string) error {
	seen := map[string]bool{}
	for _, disk := range disks {
		if !filepath.IsAbs(disk) {
			return model.Errorf(model.KindInvalid, "the disk %.128q is not an absolute path", disk)
		}
		real, err := filepath.EvalSymlinks(disk)
		if err != nil {
			return model.WrapError(model.KindInvalid, err, "there is no disk %.128s", disk)
		}
		if seen[real] {
			return model.Errorf(model.KindInvalid, "the disk %.128s is named twice", disk)
		}
		seen[real] = true
		st, err := os.Stat(real)
		if err != nil {
			return model.WrapError(model.KindInvalid, err, "there is no disk %.128s", disk)
		}
		if !st.Mode().IsRegular() && st.Mode()&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
			return model.Errorf(model.KindInvalid, "%.128s is neither a disk nor a file", disk)
		}
		fd, err := unix.Open(real, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EBUSY) {
			return model.WrapError(model.KindConflict, err, "the disk %.128s is in use: it is mounted, swapped to, or part of something larger", disk)
		}
		if err != nil {
			return model.WrapError(model.KindInvalid, err, "the disk %.128s cannot be opened", disk)
		}
		unix.Close(fd)
	}
	return nil
}
