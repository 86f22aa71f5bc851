package image_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// blobs is how many bytes of packed content a store has.
func blobs(t *testing.T, s *image.Store) (sum int64) {
	t.Helper()
	u, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range u.Blobs {
		sum += n
	}
	return sum
}

// halves are two peers of which one lacks the layer that it is asked for first, and the other
// has that alone.
func halves(whole image.Peer) []image.Peer {
	first := ""
	only := func(wanted bool) func(string, int64, int64, io.ReadCloser) (int64, io.ReadCloser, error) {
		return func(digest string, _, size int64, r io.ReadCloser) (int64, io.ReadCloser, error) {
			if first == "" {
				first = digest
			}
			if (digest == first) != wanted {
				r.Close()
				return 0, nil, model.Errorf(model.KindNotFound, "no such part")
			}
			return size, r, nil
		}
	}
	return []image.Peer{&trick{Peer: whole, change: only(false)}, &trick{Peer: whole, change: only(true)}}
}

func TestPackedLayersAreGivenUpIfAPeerHasThem(t *testing.T) {
	needRoot(t)
	source, img := holder(t)
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		s := open(t, cfg)
		if _, _, err := s.Copy(t.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{source}}, nil); err != nil {
			t.Fatal(err)
		}
		before := blobs(t, s)
		for name, peers := range map[string][]image.Peer{"nobody": nil, "one that is away": {deaf{}}, "only two together": halves(source)} {
			if freed, err := s.Shed(t.Context(), img.ID, peers); err != nil || freed != 0 || blobs(t, s) != before {
				t.Errorf("%s has them: %d bytes were given up, error %v", name, freed, err)
			}
		}
		freed, err := s.Shed(t.Context(), img.ID, []image.Peer{deaf{}, source})
		if err != nil || freed < 1<<20 || blobs(t, s) != before-freed {
			t.Errorf("of %d bytes %d were given up and %d are left, error %v", before, freed, blobs(t, s), err)
		}
		checkTree(t, mounted(t, s, "c1", img.ID))
		if again, err := s.Shed(t.Context(), img.ID, []image.Peer{source}); err != nil || again != 0 {
			t.Errorf("again: %d bytes, error %v", again, err)
		}
		// Who has only unpacked layers is not enough of a source, but does no harm.
		third := open(t, image.Config{Root: storeDir(t)})
		if _, _, err := third.Copy(t.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{s}}, nil); !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("a copy from it alone: %v", err)
		}
		if _, _, err := third.Copy(t.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{s, source}}, nil); err != nil {
			t.Error(err)
		}
		if _, err := s.Shed(t.Context(), "sha256:"+strings.Repeat("0", 64), nil); !model.IsKind(err, model.KindNotFound) {
			t.Errorf("an unknown image: %v", err)
		}
	})
}

// TestRoomIsMadeOnAFullDisk fills a small file system with what an interrupted
// pull left and with packed layers, so that another image has no room; when
// both are given up, it has.
func TestRoomIsMadeOnAFullDisk(t *testing.T) {
	needRoot(t)
	t.Parallel()
	dir := smallDisk(t)
	s := open(t, image.Config{Root: dir})
	config := imagetest.Config(ocispec.ImageConfig{})
	source, img := holderOf(t, []imagetest.Layer{noise(t, 1, 9<<20)}, config)
	if _, _, err := s.Copy(t.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{source}}, nil); err != nil {
		t.Fatal(err)
	}
	interrupted, lost := holderOf(t, []imagetest.Layer{noise(t, 2, 9<<20)}, config)
	ctx, cancel := context.WithCancel(t.Context())
	nearlyAll := &trick{Peer: interrupted, change: func(digest string, offset, size int64, r io.ReadCloser) (int64, io.ReadCloser, error) {
		if size < 1<<20 {
			return size, r, nil
		}
		return size, wrapped{io.MultiReader(io.LimitReader(r, size-1), ending{cancel}, blocked{ctx}), r}, nil
	}}
	if _, _, err := s.Copy(ctx, image.CopyRequest{Image: lost, Peers: []image.Peer{nearlyAll}}, nil); err == nil {
		t.Fatal("the copy that is to be interrupted succeeded")
	}
	third, wanted := holderOf(t, []imagetest.Layer{noise(t, 3, 7<<20)}, config)
	take := func() error {
		_, _, err := s.Copy(t.Context(), image.CopyRequest{Image: wanted, Peers: []image.Peer{third}}, nil)
		return err
	}
	if err := take(); !model.IsKind(err, model.KindExhausted) {
		t.Fatalf("on a full disk: %v", err)
	}
	if err := s.ForgetInterrupted(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Shed(t.Context(), img.ID, []image.Peer{source}); err != nil {
		t.Fatal(err)
	}
	if err := take(); err != nil {
		t.Errorf("after room was made: %v", err)
	}
}

type ending struct{ end func() }

func (e ending) Read([]byte) (int, error) {
	e.end()
	return 0, io.EOF
}

// smallDisk is a folder for a store on a file system of its own with little room.
func smallDisk(t *testing.T) string {
	t.Helper()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=38m"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(disk, "images")
	t.Cleanup(func() {
		if err := errors.Join(image.Unmount(dir), unix.Unmount(disk, unix.MNT_DETACH)); err != nil {
			t.Errorf("mounts stay: %v", err)
		}
	})
	return dir
}

// noise is a layer of so many bytes that differ with the seed.
func noise(t testing.TB, seed uint32, size int) imagetest.Layer {
	t.Helper()
	return imagetest.Plain(imagetest.Tar(t, imagetest.File("noise", string(noiseOf(seed, size)), 0o644)))
}

// noiseOf is so many bytes, which no compression makes fewer.
func noiseOf(seed uint32, size int) []byte {
	text := make([]byte, size)
	for i := range text {
		seed = seed*1664525 + 1013904223
		text[i] = byte(seed >> 24)
	}
	return text
}
