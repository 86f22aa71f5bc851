package image_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// setup is one kind of storage that every store test runs on.
type setup struct {
	name   string
	config func(t testing.TB) image.Config
}

// forEachStorage runs a test on every kind of storage this machine can have.
func forEachStorage(t *testing.T, test func(t *testing.T, cfg image.Config)) {
	needRoot(t)
	for _, s := range setups {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s.config(t))
		})
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: layers and roots are mounts")
	}
}

var setups = []setup{
	{"overlay", func(t testing.TB) image.Config {
		return image.Config{Root: storeDir(t), Snapshotter: image.Overlay}
	}},
	{"zfs", func(t testing.TB) image.Config {
		return image.Config{Root: storeDir(t), Snapshotter: image.ZFS, Datasets: testPool(t)}
	}},
}

// storeDir makes a directory for a store that leaves no mount behind.
func storeDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "images")
	t.Cleanup(func() {
		if err := image.Unmount(dir); err != nil {
			t.Errorf("mounts stay: %v", err)
		}
	})
	return dir
}

// loopback is where tests have their registries, which needs the operator's
// word.
var loopback = []string{"127.0.0.0/8"}

func open(t testing.TB, cfg image.Config) *image.Store {
	t.Helper()
	if cfg.InsecureRegistries == nil {
		cfg.InsecureRegistries = loopback
	}
	s, err := image.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func push(t testing.TB, registry, name string, layers []imagetest.Layer, config ocispec.Image) ocispec.Descriptor {
	t.Helper()
	desc, err := imagetest.PushTar(t.Context(), registry, name, layers, config)
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

func pull(t testing.TB, s *image.Store, ref string) model.Image {
	t.Helper()
	img, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: ref}, nil)
	if err != nil {
		t.Fatalf("pull %s: %v", ref, err)
	}
	return img
}

// threeLayers is an image in which upper layers change lower ones, each
// compressed in another way.
func threeLayers(t testing.TB) ([]imagetest.Layer, ocispec.Image) {
	lowest := imagetest.Gzip(imagetest.Tar(t,
		imagetest.Dir("./", 0o755), imagetest.Dir("etc/", 0o755), imagetest.File("etc/keep", "kept", 0o640), imagetest.File("etc/gone", "x", 0o644),
		imagetest.Dir("old/", 0o755), imagetest.File("old/a", "x", 0o644), imagetest.Dir("replaced/", 0o755), imagetest.File("replaced/inner", "x", 0o644),
		imagetest.File("changed", "old", 0o644)))
	middle := imagetest.Zstd(imagetest.Tar(t,
		imagetest.File("etc/.wh.gone", "", 0), imagetest.File("old/b", "new", 0o644), imagetest.File("old/.wh..wh..opq", "", 0),
		imagetest.File("replaced", "now a file", 0o644)))
	top := imagetest.Plain(imagetest.Tar(t,
		imagetest.File("changed", "new text", 0o4755), imagetest.Symlink("var/run", "/run"), imagetest.Hardlink("etc/same", "etc/keep")))
	config := imagetest.Config(ocispec.ImageConfig{Cmd: []string{"true"}, Env: []string{"A=b"}, Labels: map[string]string{"l": "v"}, ExposedPorts: map[string]struct{}{"80/tcp": {}}})
	config.History = []ocispec.History{{CreatedBy: "one"}, {CreatedBy: "nothing", EmptyLayer: true}, {CreatedBy: "two"}, {CreatedBy: "three"}}
	return []imagetest.Layer{lowest, middle, top}, config
}

func TestPulledImageIsWhatWasPushed(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		registry := imagetest.StartRegistry(t)
		layers, config := threeLayers(t)
		desc := push(t, registry, "three:1", layers, config)
		s := open(t, cfg)

		var statuses sync.Map
		img, resolved, isNew, err := s.Pull(t.Context(), image.PullRequest{Ref: registry + "/three:1"}, func(p image.Progress) { statuses.Store(p.Layer+" "+p.Status, true) })
		if err != nil {
			t.Fatal(err)
		}
		if resolved != desc.Digest.String() || !isNew || img.Digest != resolved {
			t.Errorf("resolved %s, new %v, image of %s; want %s, new", resolved, isNew, img.Digest, desc.Digest)
		}
		for _, d := range mustManifest(t, layers, config).Layers {
			for _, status := range []string{image.StatusPulling, image.StatusVerifying, image.StatusDownloaded, image.StatusPulled} {
				if _, ok := statuses.Load(d.Digest.Encoded()[:12] + " " + status); !ok {
					t.Errorf("layer %s was never %q", d.Digest.Encoded()[:12], status)
				}
			}
		}
		wantHistory := []int64{int64(len("kept" + "x" + "x" + "x" + "old")), 0, int64(len("new" + "now a file")), int64(len("new text"))}
		var gotHistory []int64
		for _, h := range img.History {
			gotHistory = append(gotHistory, h.Size)
		}
		if diff := cmp.Diff(wantHistory, gotHistory); diff != "" {
			t.Errorf("sizes in history (-want +got):\n%s", diff)
		}
		want := model.ImageConfig{Env: []string{"A=b"}, Cmd: []string{"true"}, Labels: map[string]string{"l": "v"}, ExposedPorts: []string{"80/tcp"}}
		if diff := cmp.Diff(want, img.Config); diff != "" {
			t.Errorf("config (-want +got):\n%s", diff)
		}
		root := mounted(t, s, "c1", img.ID)
		checkTree(t, root)
	})
}

func mounted(t testing.TB, s *image.Store, container, imageID string) string {
	t.Helper()
	if err := s.PrepareRoot(t.Context(), container, imageID, 0); err != nil {
		t.Fatalf("prepare: %v", err)
	}
	root, err := s.MountRoot(t.Context(), container)
	if err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := s.RemoveRoot(context.Background(), container); err != nil {
			t.Errorf("remove root: %v", err)
		}
	})
	return root
}

func checkTree(t *testing.T, root string) {
	t.Helper()
	want := map[string]string{"etc/keep": "kept", "etc/same": "kept", "old/b": "new", "replaced": "now a file", "changed": "new text"}
	for name, content := range want {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != content {
			t.Errorf("%s is %q (%v), want %q", name, got, err, content)
		}
	}
	for _, name := range []string{"etc/gone", "old/a", "replaced/inner", "etc/.wh.gone", "old/.wh..wh..opq"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	if st, err := os.Stat(filepath.Join(root, "changed")); err != nil || st.Mode() != 0o755|os.ModeSetuid {
		t.Errorf("changed has mode %v (%v), want setuid", st.Mode(), err)
	}
	if target, err := os.Readlink(filepath.Join(root, "var/run")); err != nil || target != "/run" {
		t.Errorf("var/run leads to %q (%v)", target, err)
	}
}

func TestPullAgainFindsEverything(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		registry := imagetest.StartRegistry(t)
		layers, config := threeLayers(t)
		push(t, registry, "three:1", layers, config)
		s := open(t, cfg)
		first := pull(t, s, registry+"/three:1")
		var said []string
		again, _, isNew, err := s.Pull(t.Context(), image.PullRequest{Ref: registry + "/three:1"}, func(p image.Progress) {
			if p.Status != image.StatusPulling && p.Status != image.StatusWaiting {
				said = append(said, p.Status)
			}
		})
		if err != nil || isNew {
			t.Fatalf("second pull: new %v, %v", isNew, err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("another image (-first +again):\n%s", diff)
		}
		if diff := cmp.Diff([]string{image.StatusExists, image.StatusExists, image.StatusExists}, said); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
}

func TestImagesAndRootsOutliveTheStore(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		registry := imagetest.StartRegistry(t)
		layers, config := threeLayers(t)
		push(t, registry, "three:1", layers, config)
		s := open(t, cfg)
		img := pull(t, s, registry+"/three:1")
		root := mounted(t, s, "c1", img.ID)
		if err := os.WriteFile(filepath.Join(root, "mine"), []byte("data"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(root, "mine")); err != nil {
			t.Errorf("the root is not mounted while no store is open: %v", err)
		}

		s = open(t, cfg)
		t.Cleanup(func() { s.RemoveRoot(context.Background(), "c1") })
		again, err := s.Get(t.Context(), img.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(img, again); diff != "" {
			t.Errorf("the image changed:\n%s", diff)
		}
		if roots, err := s.Roots(t.Context()); err != nil || !cmp.Equal(roots, []string{"c1"}) {
			t.Errorf("roots are %v (%v), want c1", roots, err)
		}
		if err := s.Remove(t.Context(), img.ID); !model.IsKind(err, model.KindConflict) {
			t.Errorf("removal of an image in use: %v, want a conflict", err)
		}
		if root, err = s.MountRoot(t.Context(), "c1"); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(root, "mine")); err != nil || string(got) != "data" {
			t.Errorf("what was written is %q (%v)", got, err)
		}
	})
}

func TestRootsCanBeMadeAndRemovedAgainAndAgain(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		registry := imagetest.StartRegistry(t)
		layers, config := threeLayers(t)
		push(t, registry, "three:1", layers, config)
		s := open(t, cfg)
		img := pull(t, s, registry+"/three:1")
		ctx := t.Context()
		for range 2 {
			for range 2 {
				if err := s.PrepareRoot(ctx, "c1", img.ID, 0); err != nil {
					t.Fatalf("prepare: %v", err)
				}
			}
			for range 2 {
				if _, err := s.MountRoot(ctx, "c1"); err != nil {
					t.Fatalf("mount: %v", err)
				}
			}
			for range 2 {
				if err := s.UnmountRoot(ctx, "c1"); err != nil {
					t.Fatalf("unmount: %v", err)
				}
			}
			for range 2 {
				if err := s.RemoveRoot(ctx, "c1"); err != nil {
					t.Fatalf("remove: %v", err)
				}
			}
			if roots, err := s.Roots(ctx); err != nil || len(roots) != 0 {
				t.Fatalf("roots are %v (%v), want none", roots, err)
			}
		}
		if _, err := s.MountRoot(ctx, "c1"); !model.IsKind(err, model.KindNotFound) {
			t.Errorf("mount of no root: %v", err)
		}
		if err := s.PrepareRoot(ctx, "c1", "sha256:"+strings.Repeat("0", 64), 0); !model.IsKind(err, model.KindNotFound) {
			t.Errorf("root of no image: %v", err)
		}
		if err := s.PrepareRoot(ctx, "../x", img.ID, 0); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("root with a path for a name: %v", err)
		}
	})
}

func TestRemovedImageGivesItsSpaceBack(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		registry := imagetest.StartRegistry(t)
		layers, config := threeLayers(t)
		push(t, registry, "three:1", layers, config)
		config.Author = "another"
		push(t, registry, "three:2", layers, config)
		s := open(t, cfg)
		before := files(t, cfg.Root)
		one, two := pull(t, s, registry+"/three:1"), pull(t, s, registry+"/three:2")
		if err := s.Remove(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
		checkTree(t, mounted(t, s, "c1", two.ID)) // shared layers stay
		if err := s.RemoveRoot(t.Context(), "c1"); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(t.Context(), two.ID); err != nil {
			t.Fatal(err)
		}
		if ids, err := s.List(t.Context()); err != nil || len(ids) != 0 {
			t.Errorf("images are %v (%v), want none", ids, err)
		}
		if diff := cmp.Diff(before, files(t, cfg.Root)); diff != "" {
			t.Errorf("files are left (-before +after):\n%s", diff)
		}
		if err := s.Remove(t.Context(), two.ID); !model.IsKind(err, model.KindNotFound) {
			t.Errorf("second removal: %v", err)
		}
	})
}

// files lists blobs and trees of layers below a store's directory.
func files(t testing.TB, root string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"content/blobs/sha256/*", "content/ingest/*", "overlay/snapshots/*", "trash/*", "roots/*", "mounts/*"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	return found
}

func TestPullsOfOneImageShareTheWork(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		registry := imagetest.StartRegistry(t)
		layers, config := threeLayers(t)
		push(t, registry, "three:1", layers, config)
		s := open(t, cfg)
		var fresh sync.Map
		var all sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			all.Go(func() {
				_, _, _, errs[i] = s.Pull(t.Context(), image.PullRequest{Ref: registry + "/three:1"}, func(p image.Progress) {
					if p.Status == image.StatusDownloaded {
						if _, twice := fresh.LoadOrStore(p.Layer, i); twice {
							t.Errorf("layer %s was downloaded twice", p.Layer)
						}
					}
				})
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	})
}

func TestManyLayers(t *testing.T) {
	counts := map[string]int{image.Overlay: 128, image.ZFS: 6} // zfs-fuse takes its time for each
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		registry := imagetest.StartRegistry(t)
		var layers []imagetest.Layer
		count := counts[cfg.Snapshotter]
		for i := range count {
			layers = append(layers, imagetest.Plain(imagetest.Tar(t, imagetest.File(fmt.Sprintf("f%d", i), "x", 0o644), imagetest.File("last", fmt.Sprint(i), 0o644))))
		}
		push(t, registry, "many:1", layers, imagetest.Config(ocispec.ImageConfig{}))
		s := open(t, cfg)
		root := mounted(t, s, "c1", pull(t, s, registry+"/many:1").ID)
		if got, err := os.ReadFile(filepath.Join(root, "last")); err != nil || string(got) != fmt.Sprint(count-1) {
			t.Errorf("last is %q (%v)", got, err)
		}
		if _, err := os.Stat(filepath.Join(root, "f0")); err != nil {
			t.Error(err)
		}
	})
}
