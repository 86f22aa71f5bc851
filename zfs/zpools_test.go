package zfs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// disks makes files that a pool can be made of.
func disks(t *testing.T, dir string, n int) (paths []string) {
	t.Helper()
	for i := range n {
		path := filepath.Join(dir, "disk"+string(rune('a'+i)))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 128<<20); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestPoolsAreMadeAndShown(t *testing.T) {
	t.Parallel()
	d := fusepooltest.Start(t, poolSize)
	command := d.Command()
	p := zfs.NewPools(zfs.PoolsCommand(command), nil)
	ctx, dir := t.Context(), filepath.Dir(d.Mountpoint)
	files := disks(t, t.TempDir(), 4)
	if err := p.Create(ctx, zfs.CreatePool{Name: "tank", Layout: "mirror", Disks: files[:2], Mountpoint: filepath.Join(dir, "tank")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command(command[0], append(command[1:len(command)-1:len(command)-1], "zpool", "destroy", "-f", "tank")...).Run()
	})
	all, err := p.List(ctx)
	all = slices.DeleteFunc(all, func(i zfs.PoolInfo) bool { return i.Name != "tank" && i.Name != d.Pool }) // the machine's own
	if i := slices.IndexFunc(all, func(i zfs.PoolInfo) bool { return i.Name == "tank" }); err != nil || len(all) != 2 ||
		all[i].Health != "ONLINE" || all[i].Size < 64<<20 || all[i].Free > all[i].Size || all[i].Full() > 10 {
		t.Errorf("pools are %+v, %v", all, err)
	}
	status, err := p.Show(ctx, "tank")
	if err != nil {
		t.Fatal(err)
	}
	var tree []string
	for _, v := range status.Vdevs {
		tree = append(tree, strings.Repeat(" ", v.Depth)+strings.TrimSuffix(v.Name, "-0")+" "+v.State+" "+v.Checksum)
	}
	if want := []string{"tank ONLINE 0", " mirror ONLINE 0", "  " + files[0] + " ONLINE 0", "  " + files[1] + " ONLINE 0"}; !slices.Equal(tree, want) {
		t.Errorf("the layout is %q", tree)
	}
	if !strings.Contains(status.Errors, "No known data errors") || status.Status != "" {
		t.Errorf("status is %+v", status)
	}
	if _, err := p.Show(ctx, "none"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a missing pool: %v", err)
	}
	if _, err := p.Health(ctx, "none"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("the health of a missing pool: %v", err)
	}
	err = p.Create(ctx, zfs.CreatePool{Name: "tank", Layout: "stripe", Disks: files[2:3], Mountpoint: filepath.Join(dir, "again")})
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "there is a pool tank already") {
		t.Errorf("a taken name: %v", err)
	}
	err = p.Create(ctx, zfs.CreatePool{Name: "third", Layout: "stripe", Disks: files[2:3], Mountpoint: filepath.Dir(files[0])})
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "where there are files already") {
		t.Errorf("a place that is taken: %v", err)
	}
	// One that is part of a pool is never overwritten.
	err = p.Create(ctx, zfs.CreatePool{Name: "other", Layout: "raidz", Disks: []string{files[1], files[2], files[3]}})
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "is part of active pool") {
		t.Errorf("a disk in use: %v", err)
	}
	for _, tc := range []struct{ verb, health string }{{"offline", "DEGRADED"}, {"online", "ONLINE"}} {
		if out, err := exec.Command(command[0], append(command[1:len(command)-1:len(command)-1], "zpool", tc.verb, "tank", files[0])...).CombinedOutput(); err != nil {
			t.Fatalf("zpool %s: %s, %v", tc.verb, out, err)
		}
		if health, err := p.Health(ctx, "tank"); err != nil || health != tc.health {
			t.Errorf("with a disk of the mirror %s the pool is %s, %v", tc.verb, health, err)
		}
	}
}

// Every layout is what zpool makes of it, and is laid out over the disks given.
func TestPoolsOfEveryLayout(t *testing.T) {
	t.Parallel()
	d := fusepooltest.Start(t, poolSize)
	command := d.Command()
	zpool := append(command[:len(command)-1:len(command)-1], "zpool")
	p, dir := zfs.NewPools(zpool, nil), filepath.Dir(d.Mountpoint)
	files := disks(t, t.TempDir(), 4)
	for layout, want := range map[string]struct {
		disks int
		group string // the start of the line that holds the disks; "" is none
	}{"stripe": {2, ""}, "mirror": {3, "mirror"}, "raidz": {3, "raidz1"}, "raidz2": {4, "raidz2"}, "raidz3": {4, "raidz3"}} {
		made := zfs.CreatePool{Name: "tank" + layout, Layout: layout, Disks: files[:want.disks], Mountpoint: filepath.Join(dir, layout)}
		if err := p.Create(t.Context(), made); err != nil {
			t.Errorf("%s: %v", layout, err)
			continue
		}
		status, err := p.Show(t.Context(), made.Name)
		if err != nil {
			t.Fatal(err)
		}
		depth, group := 1, ""
		if want.group != "" {
			depth, group = 2, status.Vdevs[1].Name
		}
		var leaves []string
		for _, v := range status.Vdevs {
			if v.Depth == depth {
				leaves = append(leaves, v.Name)
			}
		}
		if !strings.HasPrefix(group, want.group) || !slices.Equal(leaves, made.Disks) {
			t.Errorf("%s is laid out as %+v", layout, status.Vdevs)
		}
		destroyPool(t, zpool, made.Name)
	}
}

// A disk that is mounted is left alone, whoever asks for it.
func TestMountedDisksAreRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a disk is mounted")
	}
	for _, program := range []string{"losetup", "mkfs.ext4"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: apt install mount e2fsprogs", program)
		}
	}
	dir := t.TempDir()
	file := disks(t, dir, 1)[0]
	if out, err := exec.Command("mkfs.ext4", "-q", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Skip("needs loop devices: a disk to mount")
	}
	disk := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", disk).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	at := filepath.Join(dir, "mnt")
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(disk, at, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p := zfs.NewPools([]string{"/bin/false"}, nil)
	err = p.Create(t.Context(), zfs.CreatePool{Name: "tank", Disks: []string{disk}})
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "in use") {
		t.Errorf("a mounted disk: %v", err)
	}
}

func TestBadPoolsAreRefused(t *testing.T) {
	t.Parallel()
	p := zfs.NewPools([]string{"/bin/false"}, nil)
	files := disks(t, t.TempDir(), 2)
	for what, c := range map[string]zfs.CreatePool{
		"no name":         {Disks: files},
		"a flag":          {Name: "-f", Disks: files},
		"a word of zpool": {Name: "mirror", Disks: files},
		"no layout":       {Name: "tank", Layout: "raid5", Disks: files},
		"too few":         {Name: "tank", Layout: "raidz2", Disks: files},
		"none":            {Name: "tank"},
		"relative":        {Name: "tank", Disks: []string{"sda"}},
		"missing":         {Name: "tank", Disks: []string{"/dev/nope"}},
		"a directory":     {Name: "tank", Disks: []string{"/dev"}},
		"no disk":         {Name: "tank", Disks: []string{"/dev/null"}},
		"twice":           {Name: "tank", Disks: []string{files[0], files[0]}},
		"mountpoint":      {Name: "tank", Disks: files, Mountpoint: "here"},
	} {
		if err := p.Create(t.Context(), c); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// destroyPool destroys a pool, which zfs-fuse takes for busy for a moment after it was made.
func destroyPool(t *testing.T, zpool []string, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		out, err := exec.CommandContext(ctx, zpool[0], append(zpool[1:len(zpool):len(zpool)], "destroy", "-f", name)...).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %s", err, out)
		case <-ticker.C:
		}
	}
}
