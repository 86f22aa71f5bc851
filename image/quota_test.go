package image_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// memoryDatasets are datasets in memory: each a tmpfs of the size of its
// quota. Unlike zfs-fuse it can carry the upper directory of an overlay, as
// OpenZFS from 2.2 on can.
type memoryDatasets struct{ dir string }

func newMemoryDatasets(t testing.TB) *memoryDatasets {
	m := &memoryDatasets{t.TempDir()}
	t.Cleanup(func() {
		for _, parent := range []string{"roots", "."} {
			entries, _ := os.ReadDir(filepath.Join(m.dir, parent))
			for _, e := range entries {
				unix.Unmount(filepath.Join(m.dir, parent, e.Name()), unix.MNT_DETACH)
			}
		}
	})
	return m
}

func (m *memoryDatasets) Create(_ context.Context, name string, properties map[string]string) (string, error) {
	dir := filepath.Join(m.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", model.WrapError(model.KindConflict, err, "exists")
	}
	size := properties["quota"]
	if size == "" {
		size = "16m"
	}
	if name == "roots" {
		return dir, nil
	}
	if err := os.WriteFile(dir+".image", []byte(properties["org.spearhead:image"]), 0o600); err != nil {
		return "", err
	}
	return dir, unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
}

func (m *memoryDatasets) Mount(_ context.Context, name string) (string, error) {
	return filepath.Join(m.dir, name), nil
}

func (m *memoryDatasets) Destroy(_ context.Context, name string) error {
	dir := filepath.Join(m.dir, name)
	unix.Unmount(dir, 0)
	return errors.Join(os.RemoveAll(dir), os.RemoveAll(dir+".image"))
}

func (m *memoryDatasets) Children(_ context.Context, parent, _ string) (map[string]string, error) {
	found := map[string]string{}
	names, err := filepath.Glob(filepath.Join(m.dir, parent, "*.image"))
	for _, name := range names {
		image, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		found[strings.TrimSuffix(filepath.Base(name), ".image")] = string(image)
	}
	return found, err
}

func (m *memoryDatasets) Clone(context.Context, string, string, map[string]string) (string, error) {
	return "", errors.New("cannot clone memory")
}
func (m *memoryDatasets) Snapshot(context.Context, string) error {
	return errors.New("cannot snapshot memory")
}
func (m *memoryDatasets) Used(context.Context, string) (int64, error) {
	return 0, errors.New("cannot measure memory")
}

// TestQuotaHoldsContainersOnStorageThatHasIt fills roots beyond their quota.
func TestQuotaHoldsContainersOnStorageThatHasIt(t *testing.T) {
	needRoot(t)
	for name, config := range map[string]func(t *testing.T) image.Config{
		"overlay on datasets": func(t *testing.T) image.Config {
			return image.Config{Root: storeDir(t), Snapshotter: image.Overlay, Datasets: newMemoryDatasets(t)}
		},
		"zfs": func(t *testing.T) image.Config {
			return image.Config{Root: storeDir(t), Snapshotter: image.ZFS, Datasets: testPool(t)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := imagetest.StartRegistry(t)
			layers, imageConfig := threeLayers(t)
			push(t, registry, "three:1", layers, imageConfig)
			s := open(t, config(t))
			if !s.DiskQuota() {
				t.Fatal("the storage says that it has no quota")
			}
			img := pull(t, s, registry+"/three:1")
			if err := s.PrepareRoot(t.Context(), "c1", img.ID, 12<<20); err != nil {
				t.Fatal(err)
			}
			root := mounted(t, s, "c1", img.ID)
			checkTree(t, root)
			if err := fill(filepath.Join(root, "big"), 24<<20); !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
				t.Errorf("24 MiB into 12: %v, want no space", err)
			}
		})
	}
}

func fill(path string, size int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i * 13)
	}
	for range size >> 20 {
		if _, err := file.Write(chunk); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// TestDatasetsThatCannotCarryAnOverlayAreLeftAlone gives overlay a zfs-fuse
// pool, whose file systems cannot be its upper directory.
func TestDatasetsThatCannotCarryAnOverlayAreLeftAlone(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := open(t, image.Config{Root: storeDir(t), Snapshotter: image.Overlay, Datasets: testPool(t)})
	if s.DiskQuota() {
		t.Error("zfs-fuse carries no overlay, and yet there is a quota")
	}
	registry := imagetest.StartRegistry(t)
	layers, config := threeLayers(t)
	push(t, registry, "three:1", layers, config)
	checkTree(t, mounted(t, s, "c1", pull(t, s, registry+"/three:1").ID))
}
