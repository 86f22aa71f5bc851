package image_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// treeToChange is an image with something for every sort of change.
func treeToChange(t testing.TB) ([]imagetest.Layer, ocispec.Image) {
	t.Helper()
	layer := imagetest.Gzip(imagetest.Tar(t,
		imagetest.Dir("./", 0o755), imagetest.Dir("etc/", 0o755), imagetest.File("etc/passwd", "root", 0o644), imagetest.File("etc/gone", "x", 0o644),
		imagetest.Dir("same/", 0o755), imagetest.Dir("same/deep/", 0o755), imagetest.File("same/deep/file", "x", 0o644), imagetest.File("same/other", "x", 0o644),
		imagetest.Dir("opaque/", 0o755), imagetest.File("opaque/old", "x", 0o644), imagetest.File("opaque/both", "x", 0o644),
		imagetest.Dir("opaque/sub/", 0o755), imagetest.File("opaque/sub/x", "x", 0o644),
		imagetest.Dir("dirtofile/", 0o755), imagetest.File("dirtofile/x", "x", 0o644), imagetest.File("filetodir", "x", 0o644),
		imagetest.Dir("removed/", 0o755), imagetest.File("removed/x", "x", 0o644),
		imagetest.Symlink("link", "etc"), imagetest.Dir("mode/", 0o755), imagetest.File("hard1", "x", 0o644), imagetest.Hardlink("hard2", "hard1")))
	upper := imagetest.Gzip(imagetest.Tar(t, imagetest.Dir("etc/", 0o755), imagetest.File("etc/second", "2", 0o644)))
	config := imagetest.Config(ocispec.ImageConfig{Cmd: []string{"true"}, Env: []string{"A=b"}})
	config.History = []ocispec.History{{CreatedBy: "one"}, {CreatedBy: "two"}}
	return []imagetest.Layer{layer, upper}, config
}

// change changes a tree as a container would.
func change(t testing.TB, root string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(root, name) }
	for _, step := range []func() error{
		func() error { return os.WriteFile(in("etc/passwd"), []byte("root and others"), 0o644) },
		func() error { return os.Remove(in("etc/gone")) },
		func() error { return os.WriteFile(in("same/deep/file"), []byte("y"), 0o644) },
		func() error { return os.RemoveAll(in("opaque")) },
		func() error { return os.MkdirAll(in("opaque/sub"), 0o755) },
		func() error { return os.WriteFile(in("opaque/both"), []byte("new"), 0o644) },
		func() error { return os.WriteFile(in("opaque/sub/y"), []byte("new"), 0o644) },
		func() error { return os.RemoveAll(in("dirtofile")) },
		func() error { return os.WriteFile(in("dirtofile"), []byte("file"), 0o644) },
		func() error { return os.Remove(in("filetodir")) },
		func() error { return os.Mkdir(in("filetodir"), 0o755) },
		func() error { return os.WriteFile(in("filetodir/x"), []byte("x"), 0o644) },
		func() error { return os.RemoveAll(in("removed")) },
		func() error { return os.Remove(in("link")) },
		func() error { return os.Symlink("same", in("link")) },
		func() error { return os.Chmod(in("mode"), 0o700) },
		func() error { return os.MkdirAll(in("new/deep"), 0o755) },
		func() error { return os.WriteFile(in("new/deep/file"), []byte("new"), 0o4755) },
		func() error { return os.Chmod(in("new/deep/file"), 0o4755) },
		func() error { return os.Chown(in("new/deep"), 7, 8) },
		func() error { return os.Link(in("new/deep/file"), in("new/link")) },
		func() error { return unix.Mkfifo(in("new/pipe"), 0o600) },
		func() error { return unix.Mknod(in("new/zero"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		func() error { return os.WriteFile(in("new/with space\nand line"), nil, 0o600) },
		// What a runtime makes for its mounts.
		func() error { return os.WriteFile(in("etc/hosts"), nil, 0o644) },
		func() error { return os.Mkdir(in("proc"), 0o755) },
		func() error { return os.Mkdir(in("dev"), 0o755) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

func wantChanges() []model.FileChange {
	var want []model.FileChange
	for _, line := range []string{
		"C /dirtofile", "C /etc", "D /etc/gone", "C /etc/passwd", "C /filetodir", "A /filetodir/x", "C /link", "C /mode",
		"A /new", "A /new/deep", "A /new/deep/file", "A /new/link", "A /new/pipe", "A /new/with space\nand line", "A /new/zero",
		"C /opaque", "C /opaque/both", "D /opaque/old", "C /opaque/sub", "D /opaque/sub/x", "A /opaque/sub/y",
		"D /removed", "C /same", "C /same/deep", "C /same/deep/file",
	} {
		kind := map[byte]model.FileChangeKind{'A': model.FileAdded, 'C': model.FileModified, 'D': model.FileDeleted}[line[0]]
		want = append(want, model.FileChange{Path: line[2:], Kind: kind})
	}
	return want
}

func TestChangesAreThoseThatTheContainerMade(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		s, root, _ := rootToChange(t, cfg)
		if got, err := s.Changes(t.Context(), "c1"); err != nil || len(got) != 0 {
			t.Errorf("an untouched root has changes %v (%v)", got, err)
		}
		change(t, root)
		got, err := s.Changes(t.Context(), "c1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantChanges(), got); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if _, err := s.Changes(t.Context(), "c2"); !model.IsKind(err, model.KindNotFound) {
			t.Errorf("changes of nothing: %v", err)
		}
	})
}

// rootToChange prepares and mounts a root of treeToChange as c1.
func rootToChange(t testing.TB, cfg image.Config) (s *image.Store, root string, img model.Image) {
	t.Helper()
	registry := imagetest.StartRegistry(t)
	layers, config := treeToChange(t)
	push(t, registry, "tree:1", layers, config)
	s = open(t, cfg)
	img = pull(t, s, registry+"/tree:1")
	return s, prepare(t, s, "c1", img.ID), img
}

func prepare(t testing.TB, s *image.Store, container, img string) string {
	t.Helper()
	if err := s.PrepareRoot(t.Context(), container, img, 0); err != nil {
		t.Fatal(err)
	}
	root, err := s.MountRoot(t.Context(), container)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.RemoveRoot(t.Context(), container) })
	return root
}

func TestCommittedImageIsTheContainersRoot(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		s, root, base := rootToChange(t, cfg)
		change(t, root)
		options := image.CommitOptions{
			Config:    model.ImageConfig{Cmd: []string{"sh"}, Labels: map[string]string{"l": "v", "spearhead.package": "p"}, Healthcheck: &model.Healthcheck{Test: []string{"CMD", "x"}, Interval: time.Second}},
			CreatedBy: "sh -c x", Author: "me", Comment: "a comment", Created: time.Unix(1_700_000_000, 5).UTC(),
		}
		img, err := s.Commit(t.Context(), "c1", options)
		if err != nil {
			t.Fatal(err)
		}
		last := img.History[len(img.History)-1]
		if img.Author != "me" || img.Comment != "a comment" || !img.Created.Equal(options.Created) || img.Architecture != base.Architecture ||
			len(img.DiffIDs) != len(base.DiffIDs)+1 || last.CreatedBy != "sh -c x" || last.EmptyLayer || last.Size == 0 || img.Size != base.Size+last.Size {
			t.Errorf("image %+v", img)
		}
		options.Config.Labels = map[string]string{"l": "v"} // that of an account is no image's
		if diff := cmp.Diff(options.Config, img.Config, cmp.Comparer(func(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") })); diff != "" {
			t.Errorf("configuration (-want +got):\n%s", diff)
		}
		// What the runtime made for its mounts is in no image.
		err = errors.Join(os.Remove(filepath.Join(root, "etc/hosts")), os.Remove(filepath.Join(root, "proc")), os.Remove(filepath.Join(root, "dev")))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tree(t, root), tree(t, prepare(t, s, "c2", img.ID))); diff != "" {
			t.Errorf("root of the container and of the image (-container +image):\n%s", diff)
		}
		again, err := s.Commit(t.Context(), "c2", image.CommitOptions{})
		if err != nil || len(again.DiffIDs) != len(img.DiffIDs) || !again.History[len(again.History)-1].EmptyLayer {
			t.Errorf("a commit of nothing makes %+v (%v), want no layer", again, err)
		}
	})
}

func TestEqualChangesShareOneLayer(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		s, root, base := rootToChange(t, cfg)
		other := prepare(t, s, "c2", base.ID)
		stamp := time.Unix(1_650_000_000, 0)
		for _, dir := range []string{root, other} {
			err := errors.Join(os.WriteFile(filepath.Join(dir, "new"), []byte("new"), 0o600), os.Chtimes(filepath.Join(dir, "new"), stamp, stamp))
			if err != nil {
				t.Fatal(err)
			}
		}
		one, err := s.Commit(t.Context(), "c1", image.CommitOptions{Comment: "one"})
		if err != nil {
			t.Fatal(err)
		}
		two, err := s.Commit(t.Context(), "c2", image.CommitOptions{Comment: "two"})
		if err != nil {
			t.Fatal(err)
		}
		if one.ID == two.ID || !cmp.Equal(one.DiffIDs, two.DiffIDs) {
			t.Errorf("layers %v and %v", one.DiffIDs, two.DiffIDs)
		}
		// Removing one leaves what the other needs.
		if err := s.Remove(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(filepath.Join(prepare(t, s, "c3", two.ID), "new")); string(data) != "new" {
			t.Errorf("the other image's file holds %q (%v)", data, err)
		}
	})
}

func TestCommitRefusesWhatNoImageCanHold(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		s, root, _ := rootToChange(t, cfg)
		if err := os.WriteFile(filepath.Join(root, ".wh.etc"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Commit(t.Context(), "c1", image.CommitOptions{})
		if !model.IsKind(err, model.KindInvalid) {
			t.Errorf("a file with a whiteout's name: %v", err)
		}
		if err := os.Remove(filepath.Join(root, ".wh.etc")); err != nil {
			t.Fatal(err)
		}
		_, err = s.Commit(t.Context(), "c1", image.CommitOptions{Config: model.ImageConfig{WorkingDir: "/proc/self"}})
		if !model.IsKind(err, model.KindInvalid) {
			t.Errorf("a configuration that no node would take: %v", err)
		}
		if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("images %v (%v) after refused commits", list, err)
		}
	})
}

func TestSizesCountWhatWasWritten(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		s, root, base := rootToChange(t, cfg)
		before, err := s.Size(t.Context(), "c1")
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 1<<20)
		for i := range data {
			data[i] = byte(i * i >> 3)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(root, "data"), data, 0o600), os.Link(filepath.Join(root, "data"), filepath.Join(root, "twice"))); err != nil {
			t.Fatal(err)
		}
		after := before
		// A dataset counts what has reached its disk, which is seconds later.
		for deadline := time.Now().Add(time.Minute); after.RW < before.RW+1<<20 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if after, err = s.Size(t.Context(), "c1"); err != nil {
				t.Fatal(err)
			}
		}
		if grown := after.RW - before.RW; grown < 1<<20 || grown > 3<<19 {
			t.Errorf("1 MiB under two names counts as %d bytes", grown)
		}
		if after.Root != after.RW+base.Size {
			t.Errorf("sizes %+v of an image of %d bytes", after, base.Size)
		}
	})
}

// tree describes all files of a root, but for the times of the directories
// that the tests themselves have their hands in.
func tree(t testing.TB, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		stamp, links, content := st.Mtim.Sec, st.Nlink, ""
		name = strings.TrimPrefix(strings.TrimPrefix(name, root), "/")
		switch {
		case entry.IsDir():
			links = 0
			if name == "" || name == "etc" {
				stamp = 0
			}
		case entry.Type().IsRegular():
			data, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				return err
			}
			content = string(data)
		case entry.Type()&fs.ModeSymlink != 0:
			if content, err = os.Readlink(filepath.Join(root, name)); err != nil {
				return err
			}
		}
		found[name] = fmt.Sprintf("%o %d:%d %d links, device %d, time %d: %q", st.Mode, st.Uid, st.Gid, links, st.Rdev, stamp, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
