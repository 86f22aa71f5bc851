package image_test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// longLayer has a file at its beginning and 3 MiB that do not shrink after it,
// which is more than the node reads ahead.
func longLayer(t *testing.T) []byte {
	return imagetest.Tar(t, imagetest.File("early", "early", 0o644), imagetest.File("noise", string(noiseOf(7, 3<<20)), 0o644))
}

// halting is a registry that sends half of its layer, and goes on as after says
// when the node with its store at root has unpacked what came.
type halting struct {
	*fakeRegistry
	reached chan struct{} // closed when the node has
	along   atomic.Bool
}

func newHalting(t *testing.T, layer imagetest.Layer, root string, after func(w http.ResponseWriter, rest []byte)) *halting {
	t.Helper()
	h := &halting{fakeRegistry: newFakeOf(t, layer, nil), reached: make(chan struct{})}
	var begun atomic.Bool
	h.bad = func(w http.ResponseWriter, r *http.Request) bool {
		if !isLayer(h.fakeRegistry, r) || begun.Swap(true) {
			return false
		}
		half := len(layer.Blob) / 2
		w.Write(layer.Blob[:half])
		w.(http.Flusher).Flush()
		h.along.Store(appears(t, filepath.Join(root, "overlay/snapshots/*/fs/early")))
		close(h.reached)
		after(w, layer.Blob[half:])
		return true
	}
	return h
}

// appears waits until there is such a file.
func appears(t *testing.T, pattern string) bool {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(time.Minute)
	for {
		if found, err := filepath.Glob(pattern); err != nil || len(found) > 0 {
			return err == nil
		}
		select {
		case <-ticker.C:
		case <-limit:
			return false
		case <-t.Context().Done():
			return false
		}
	}
}

// TestLayersAreUnpackedWhileTheyCome has a registry that waits, in the middle of
// a layer, until the node has unpacked what came, and then keeps its word, breaks
// the connection, or sends other bytes than it should.
func TestLayersAreUnpackedWhileTheyCome(t *testing.T) {
	needRoot(t)
	for name, test := range map[string]struct {
		after func(w http.ResponseWriter, rest []byte)
		fails bool
	}{
		"it goes on":  {after: func(w http.ResponseWriter, rest []byte) { w.Write(rest) }},
		"it breaks":   {after: func(http.ResponseWriter, []byte) { panic(http.ErrAbortHandler) }},
		"other bytes": {fails: true, after: func(w http.ResponseWriter, rest []byte) { w.Write(bytes.Repeat([]byte("x"), len(rest))) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := image.Config{Root: storeDir(t)}
			s := open(t, cfg)
			before := files(t, cfg.Root)
			for _, pack := range []func([]byte) imagetest.Layer{imagetest.QuickGzip, imagetest.Plain} {
				r := newHalting(t, pack(longLayer(t)), cfg.Root, test.after)
				img, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: r.ref()}, nil)
				if !r.along.Load() {
					t.Error("nothing of the layer was unpacked before it was there")
				}
				if !test.fails {
					if err != nil {
						t.Fatal(err)
					}
					if err := s.Remove(t.Context(), img.ID); err != nil {
						t.Error(err)
					}
				} else if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "other bytes than it promised") {
					t.Errorf("error %v, want one that tells of a wrong digest", err)
				}
				if diff := cmp.Diff(before, files(t, cfg.Root)); diff != "" {
					t.Errorf("files are left (-before +after):\n%s", diff)
				}
			}
		})
	}
}

// TestASlowRegistryHoldsNobodyElseUp has two packings of one tree at two
// registries. One of them halts in the middle of it; the pull from the other one
// does not wait for that.
func TestASlowRegistryHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	needRoot(t)
	cfg := image.Config{Root: storeDir(t)}
	s := open(t, cfg)
	resume := make(chan struct{})
	slow := newHalting(t, imagetest.QuickGzip(longLayer(t)), cfg.Root, func(w http.ResponseWriter, rest []byte) {
		<-resume
		w.Write(rest)
	})
	ended := make(chan error, 1)
	go func() {
		_, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: slow.ref()}, nil)
		ended <- err
	}()
	<-slow.reached
	quick := pull(t, s, newFakeOf(t, imagetest.Plain(longLayer(t)), nil).ref())
	close(resume)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !slow.along.Load() {
		t.Error("nothing of the slow layer was unpacked before it was there")
	}
	mounted(t, s, "c1", quick.ID)
}
