package volumes_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/agent/volumes"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// bed is a node's storage, on which stores are opened one after the other.
type bed struct {
	*volumes.Store
	config volumes.Config
	pool   *zfs.Pool // nil where volumes are directories
}

// plain keeps volumes as directories.
func plain(t *testing.T) *bed {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: files of other owners are copied, and parts mounted")
	}
	b := &bed{config: volumes.Config{StateDir: t.TempDir(), RunDir: filepath.Join(t.TempDir(), "run")}}
	b.open(t)
	return b
}

// pooled keeps volumes on a real pool.
func pooled(t *testing.T) *bed {
	t.Helper()
	return onPool(t, fusepooltest.Start(t, 512<<20).Command())
}

// onPool keeps volumes on the pool that command leads to.
func onPool(t *testing.T, command []string) *bed {
	t.Helper()
	pool, err := zfs.Open(t.Context(), zfs.Config{Dataset: "spearhead/node", Command: command})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{config: volumes.Config{StateDir: t.TempDir(), RunDir: filepath.Join(t.TempDir(), "run"), Datasets: pool}, pool: pool}
	b.open(t)
	return b
}

// each runs a test on both sorts of storage.
func each(t *testing.T, test func(*testing.T, *bed)) {
	t.Run("directories", func(t *testing.T) { t.Parallel(); test(t, plain(t)) })
	t.Run("datasets", func(t *testing.T) { t.Parallel(); test(t, pooled(t)) })
}

// open opens the store as an agent does that starts.
func (b *bed) open(t *testing.T) {
	t.Helper()
	var err error
	if b.Store, err = volumes.Open(t.Context(), b.config); err != nil {
		t.Fatal(err)
	}
}

// make makes a volume and returns the directory that containers see.
func (b *bed) make(t *testing.T, id string, size int64) string {
	t.Helper()
	if err := b.Create(t.Context(), wire.VolumeRef{ID: id, Size: size}); err != nil {
		t.Fatal(err)
	}
	return b.data(t, id)
}

func (b *bed) data(t *testing.T, id string) string {
	t.Helper()
	paths, err := b.Expose(t.Context(), "c1", []model.Mount{{Type: model.MountVolume, VolumeID: id, Target: "/d"}})
	if err != nil {
		t.Fatal(err)
	}
	return paths[0]
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", path, got, err, want)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		ctx := t.Context()
		dir := b.make(t, "v1", 0)
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o755 {
			t.Errorf("a new volume is %v, %v", st.Mode(), err)
		}
		write(t, filepath.Join(dir, "file"), "kept")
		if again := b.make(t, "v1", 0); again != dir {
			t.Errorf("made again it lies at %s, not %s", again, dir)
		}
		b.open(t)
		holds(t, filepath.Join(b.data(t, "v1"), "file"), "kept")
		b.make(t, "v2", 0)
		if ids, err := b.List(ctx); err != nil || !slices.Equal(ids, []string{"v1", "v2"}) {
			t.Errorf("volumes are %v, %v", ids, err)
		}
		for _, id := range []string{"v1", "v1", "never"} {
			if err := b.Remove(ctx, id); err != nil {
				t.Errorf("remove %s: %v", id, err)
			}
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("the removed volume's files are there")
		}
		if _, err := os.Stat(filepath.Join(b.make(t, "v1", 0), "file")); err == nil {
			t.Error("a volume made anew is not empty")
		}
		if _, err := b.Usage(ctx, "gone"); !model.IsKind(err, model.KindNotFound) {
			t.Errorf("usage of a missing volume: %v", err)
		}
		for _, id := range []string{"", "../up", "a/b", "-r"} {
			if err := b.Create(ctx, wire.VolumeRef{ID: id}); !model.IsKind(err, model.KindInvalid) {
				t.Errorf("a volume named %q: %v", id, err)
			}
		}
	})
}

// image makes a tree that a container's root could be.
func image(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	srv := filepath.Join(root, "srv", "www")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(srv, "below"), 0o750),
		os.WriteFile(filepath.Join(srv, "below", "file"), []byte("of the image"), 0o640),
		os.Chown(filepath.Join(srv, "below", "file"), 33, 44),
		os.Link(filepath.Join(srv, "below", "file"), filepath.Join(srv, "twin")),
		os.Symlink("below/file", filepath.Join(srv, "link")),
		os.Symlink("/srv", filepath.Join(root, "alias")),
		unix.Lsetxattr(filepath.Join(srv, "below", "file"), "user.mark", []byte("x"), 0),
		os.Chown(srv, 33, 44), unix.Chmod(srv, 0o1770),
		os.WriteFile(filepath.Join(root, "plain"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFill(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		ctx, root := t.Context(), image(t)
		dir := b.make(t, "v", 0)
		for _, nothing := range []string{"/missing", "/plain"} {
			if err := b.Fill(ctx, "v", root, nothing, true); err != nil {
				t.Errorf("fill from %s: %v", nothing, err)
			}
		}
		if err := b.Fill(ctx, "v", root, "/alias/www", true); err != nil { // by a link, inside of the root
			t.Fatal(err)
		}
		holds(t, filepath.Join(dir, "link"), "of the image")
		var top, file, twin unix.Stat_t
		for name, st := range map[string]*unix.Stat_t{"": &top, "below/file": &file, "twin": &twin} {
			if err := unix.Lstat(filepath.Join(dir, name), st); err != nil {
				t.Fatal(err)
			}
		}
		if top.Uid != 33 || top.Gid != 44 || top.Mode&0o7777 != 0o1770 {
			t.Errorf("the volume's top is of %d:%d with %o", top.Uid, top.Gid, top.Mode)
		}
		if file.Uid != 33 || file.Mode&0o7777 != 0o640 || file.Ino != twin.Ino {
			t.Errorf("the file is of %d with %o, inode %d and %d", file.Uid, file.Mode, file.Ino, twin.Ino)
		}
		mark := make([]byte, 8)
		if n, err := unix.Lgetxattr(filepath.Join(dir, "below/file"), "user.mark", mark); b.pool == nil && (err != nil || string(mark[:n]) != "x") {
			t.Errorf("the attribute is %q, %v", mark[:max(n, 0)], err)
		}
		if err := os.WriteFile(filepath.Join(root, "srv/www/later"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := b.Fill(ctx, "v", root, "/srv/www", true); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "later")); err == nil {
			t.Error("a volume that held something was filled")
		}
	})
}

// Half of an image's files must never be taken for all of them.
func TestFillThatWasCutShort(t *testing.T) {
	t.Parallel()
	b, root := plain(t), image(t)
	dir := b.make(t, "v", 0)
	write(t, filepath.Join(filepath.Dir(dir), "filling"), "") // as a killed agent leaves it
	write(t, filepath.Join(dir, "half"), "")
	if err := b.Fill(t.Context(), "v", root, "/srv/www", false); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(dir, "half"), "") // somebody mounts it
	for range 2 {
		if err := b.Fill(t.Context(), "v", root, "/srv/www", true); err != nil {
			t.Fatal(err)
		}
		holds(t, filepath.Join(dir, "below", "file"), "of the image")
		if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
			t.Error("what the first copy left is there")
		}
		write(t, filepath.Join(dir, "below", "file"), "of the image")
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	b := plain(t)
	ctx, dir := t.Context(), b.make(t, "v", 0)
	outside := filepath.Join(t.TempDir(), "secret")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "sub", "deep"), 0o755),
		os.WriteFile(filepath.Join(dir, "sub", "deep", "file"), []byte("in"), 0o600),
		os.WriteFile(outside, []byte("out"), 0o600),
		os.Symlink("sub/deep", filepath.Join(dir, "inside")),
		os.Symlink("/../../../../../../../../"+outside, filepath.Join(dir, "away")),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	part := func(subpath string) (string, error) {
		paths, err := b.Expose(ctx, "c2", []model.Mount{{Type: model.MountTmpfs}, {Type: model.MountVolume, VolumeID: "v", Subpath: subpath}})
		return paths[1], err
	}
	t.Cleanup(func() { _ = b.Conceal("c2") })
	for subpath, file := range map[string]string{"sub/deep": "/file", "inside": "/file", "sub/deep/file": ""} {
		path, err := part(subpath)
		if err != nil {
			t.Errorf("%s: %v", subpath, err)
			continue
		}
		holds(t, path+file, "in")
	}
	for _, subpath := range []string{"missing", "fifo", "away", "inside/missing"} {
		if path, err := part(subpath); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s leads to %s, %v", subpath, path, err)
		}
	}
	if ids, err := b.Exposed(); err != nil || !slices.Equal(ids, []string{"c2"}) {
		t.Errorf("exposed are %v, %v", ids, err)
	}
	for range 2 {
		if err := b.Conceal("c2"); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, filepath.Join(dir, "sub", "deep", "file"), "in")
	if ids, _ := b.Exposed(); len(ids) > 0 {
		t.Errorf("still exposed: %v", ids)
	}
}

func TestDirectoriesRefuseWhatTheyCannot(t *testing.T) {
	t.Parallel()
	b := plain(t)
	ctx := t.Context()
	b.make(t, "v", 0)
	if b.Quota() {
		t.Error("directories claim to hold volumes to a size")
	}
	for what, err := range map[string]error{
		"create with size": b.Create(ctx, wire.VolumeRef{ID: "w", Size: 1 << 20}),
		"resize":           b.Resize(ctx, "v", 1<<20),
		"snapshot":         b.Snapshot(ctx, "v", "s"),
		"restore":          b.Restore(ctx, "v", "s"),
		"clone":            b.Clone(ctx, "v", wire.CloneVolumeRequest{To: wire.VolumeRef{ID: "w"}}),
		"receive":          b.Receive(ctx, "w", wire.ReceiveVolumeRequest{}, strings.NewReader("")),
	} {
		if !model.IsKind(err, model.KindNotImplemented) || !strings.Contains(model.UserText(err), "ZFS") {
			t.Errorf("%s: %v", what, err)
		}
	}
	write(t, filepath.Join(b.data(t, "v"), "f"), strings.Repeat("x", 1000))
	if usage, err := b.Usage(ctx, "v"); err != nil || usage.Used != 1000 {
		t.Errorf("usage is %+v, %v", usage, err)
	}
}

// fill writes until the volume takes no more, or all of size is in it.
func fill(path string, size int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	chunk := bytes.Repeat([]byte{7, 1, 5, 9}, 1<<18)
	for range size >> 20 {
		if _, err = file.Write(chunk); err == nil {
			err = file.Sync()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func TestSizeHoldsThatVolumeOnly(t *testing.T) {
	t.Parallel()
	b := pooled(t)
	ctx := t.Context()
	small, other := b.make(t, "small", 16<<20), b.make(t, "other", 0)
	if err := fill(filepath.Join(small, "big"), 40<<20); !isFull(err) {
		t.Errorf("40 MiB into 16: %v", err)
	}
	if err := fill(filepath.Join(other, "big"), 24<<20); err != nil {
		t.Errorf("another volume is full too: %v", err)
	}
	if err := b.Resize(ctx, "small", 8<<20); !model.IsKind(err, model.KindConflict) {
		t.Errorf("less than it holds: %v", err)
	}
	if err := b.Resize(ctx, "small", 96<<20); err != nil {
		t.Fatal(err)
	}
	if err := fill(filepath.Join(small, "more"), 24<<20); err != nil {
		t.Errorf("a volume that has grown: %v", err)
	}
	if usage, err := b.Usage(ctx, "small"); err != nil || usage.Used < 24<<20 {
		t.Errorf("usage is %+v, %v", usage, err)
	}
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	b := pooled(t)
	ctx, dir := t.Context(), b.make(t, "v", 0)
	file := filepath.Join(dir, "file")
	for _, day := range []string{"monday", "tuesday"} {
		write(t, file, day)
		if err := b.Snapshot(ctx, "v", day); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Snapshot(ctx, "v", "monday"); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a second snapshot of one name: %v", err)
	}
	names := func() (all []string) {
		t.Helper()
		found, err := b.Snapshots(ctx, "v")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range found {
			if time.Since(s.Created) > time.Hour {
				t.Errorf("snapshot %s was made at %s", s.Name, s.Created)
			}
			all = append(all, s.Name)
		}
		return all
	}
	if got := names(); !slices.Equal(got, []string{"monday", "tuesday"}) {
		t.Errorf("snapshots are %v", got)
	}

	if err := b.Clone(ctx, "v", wire.CloneVolumeRequest{Snapshot: "tuesday", To: wire.VolumeRef{ID: "twin"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveSnapshot(ctx, "v", "tuesday"); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a snapshot with a clone is removed: %v", err)
	}
	holds(t, filepath.Join(b.data(t, "twin"), "file"), "tuesday")
	if err := b.Remove(ctx, "twin"); err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(ctx, "v", "never"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a missing snapshot is restored: %v", err)
	}
	if err := b.Restore(ctx, "v", "monday"); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(b.data(t, "v"), "file"), "monday")
	if got := names(); !slices.Equal(got, []string{"monday"}) {
		t.Errorf("after the restore, snapshots are %v", got)
	}
	if err := b.RemoveSnapshot(ctx, "v", "monday"); err != nil {
		t.Error(err)
	}
	if err := b.RemoveSnapshot(ctx, "v", "monday"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a snapshot is removed twice: %v", err)
	}
}

// A clone of a moment leaves nothing at what it was made of, where nobody could
// see or remove it and its blocks would stay.
func TestNothingIsLeftOfAClone(t *testing.T) {
	t.Parallel()
	b := pooled(t)
	ctx, dir := t.Context(), b.make(t, "old", 0)
	write(t, filepath.Join(dir, "file"), "shared")
	for _, id := range []string{"one", "two"} {
		if err := b.Clone(ctx, "old", wire.CloneVolumeRequest{To: wire.VolumeRef{ID: id}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"one", "two"} {
		if err := b.Remove(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := b.pool.SnapshotsBelow(ctx, "volumes"); err != nil || len(all) != 0 {
		t.Errorf("left are the snapshots %v, %v", all, err)
	}
	holds(t, filepath.Join(b.data(t, "old"), "file"), "shared")
}

// A clone outlives what it was made of, and its snapshots are its own.
func TestCloneOutlivesItsOrigin(t *testing.T) {
	t.Parallel()
	b := pooled(t)
	ctx, dir := t.Context(), b.make(t, "old", 0)
	write(t, filepath.Join(dir, "file"), "shared")
	if err := b.Snapshot(ctx, "old", "daily"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Clone(ctx, "old", wire.CloneVolumeRequest{To: wire.VolumeRef{ID: "new", Size: 32 << 20}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Snapshot(ctx, "new", "daily"); err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(ctx, "old"); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(b.data(t, "new"), "file"), "shared")
	if all, err := b.Snapshots(ctx, "new"); err != nil || len(all) != 1 || all[0].Name != "daily" {
		t.Errorf("the clone's snapshots are %+v, %v", all, err)
	}
	if err := b.Remove(ctx, "new"); err != nil {
		t.Fatal(err)
	}
	if left, err := b.pool.Children(ctx, "volumes", "used"); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestSendAndReceive(t *testing.T) {
	t.Parallel()
	b := pooled(t)
	ctx, dir := t.Context(), b.make(t, "v", 0)
	write(t, filepath.Join(dir, "file"), strings.Repeat("first", 10_000))
	if err := b.Snapshot(ctx, "v", "base"); err != nil {
		t.Fatal(err)
	}
	whole := b.stream(t, "v", wire.SendVolumeRequest{Snapshot: "base"})
	for name, half := range map[string][]byte{"cut": whole[:len(whole)/2], "empty": nil, "foreign": []byte("this is no stream")} {
		if err := b.Receive(ctx, "copy", wire.ReceiveVolumeRequest{}, bytes.NewReader(half)); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s stream: %v", name, err)
		}
		if ids, _ := b.List(ctx); slices.Contains(ids, "copy") {
			t.Errorf("a %s stream made a volume", name)
		}
	}
	if err := b.Receive(ctx, "copy", wire.ReceiveVolumeRequest{Size: 64 << 20}, bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(b.data(t, "copy"), "file"), strings.Repeat("first", 10_000))
	if err := b.Receive(ctx, "copy", wire.ReceiveVolumeRequest{}, bytes.NewReader(whole)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a volume is received twice: %v", err)
	}

	write(t, filepath.Join(dir, "file"), "second")
	increment := b.stream(t, "v", wire.SendVolumeRequest{Base: "base"})
	if len(increment) >= len(whole) {
		t.Errorf("the increment has %d bytes, the whole %d", len(increment), len(whole))
	}
	if err := b.Receive(ctx, "copy", wire.ReceiveVolumeRequest{Onto: true}, bytes.NewReader(increment)); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(b.data(t, "copy"), "file"), "second")
	if all, err := b.Snapshots(ctx, "v"); err != nil || len(all) != 1 {
		t.Errorf("after sending, snapshots are %+v, %v", all, err)
	}
}

// What was being received when the agent was killed is no volume.
func TestHalfReceivedIsClearedAway(t *testing.T) {
	t.Parallel()
	b := pooled(t)
	ctx := t.Context()
	write(t, filepath.Join(b.make(t, "v", 0), "file"), "x")
	s, err := b.Send(ctx, "v", wire.SendVolumeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := b.pool.Receive(ctx, "incoming/copy", s); err != nil {
		t.Fatal(err)
	}
	if err := b.pool.Snapshot(ctx, "volumes/v@spearhead-sent"); err != nil {
		t.Fatal(err)
	}
	if err := b.Clone(ctx, "v", wire.CloneVolumeRequest{To: wire.VolumeRef{ID: "clone"}}); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	holds(t, filepath.Join(b.data(t, "clone"), "file"), "x")
	if left, err := b.pool.Snapshots(ctx, "volumes/v"); err != nil || len(left) != 1 {
		t.Errorf("left are the snapshots %+v, %v: only that of the clone is needed", left, err)
	}
	if left, err := b.pool.Children(ctx, "incoming", "used"); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := plain(t)
	ctx := t.Context()
	done := make(chan error)
	const many = 32
	for i := range many {
		go func() {
			id := fmt.Sprint("v", i%4)
			err := b.Create(ctx, wire.VolumeRef{ID: id})
			if err == nil && i%3 == 0 {
				err = b.Remove(ctx, id)
			}
			done <- err
		}()
	}
	for range many {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
