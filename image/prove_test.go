package image_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
)

// TestADigestAloneGetsNothing has a node with an image that one registry gave,
// and other registries whose owner knows the digests of its parts and no more.
func TestADigestAloneGetsNothing(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := openOverlay(t)
	honest := newFake(t, nil)
	img := pull(t, s, honest.ref())
	layer := digest.FromBytes(bigLayer(t).Blob).String()
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"it has no bytes": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, layer) {
				http.NotFound(w, r)
				return true
			}
			return false
		},
		"it makes bytes up": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, layer) {
				w.Write(make([]byte, len(bigLayer(t).Blob)))
				return true
			}
			return false
		},
		"it does not know the configuration": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, img.ID) {
				http.NotFound(w, r)
				return true
			}
			return false
		},
		"it does not know the manifest": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
				http.NotFound(w, r)
				return true
			}
			return false
		},
	} {
		evil := newFake(t, answer)
		if got, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: evil.ref()}, nil); err == nil {
			t.Errorf("%s: it is given %s", name, got.ID)
		}
	}
	// Who has the bytes may have the image, from wherever they come.
	if got := pull(t, s, newFake(t, nil).ref()); got.ID != img.ID {
		t.Errorf("pulled %s, want %s", got.ID, img.ID)
	}
}

// TestAKnownRegistryIsAskedForOneByte pulls again what is here, and then as a
// user whom the registry does not let read it any more.
func TestAKnownRegistryIsAskedForOneByte(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := openOverlay(t)
	layer := digest.FromBytes(bigLayer(t).Blob).String()
	var asked, sent atomic.Int64
	var closed atomic.Bool
	r := newFake(t, nil)
	r.bad = func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasSuffix(q.URL.Path, layer) {
			return false
		}
		if closed.Load() {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		asked.Add(1)
		if q.Header.Get("Range") == "" {
			sent.Add(1)
		}
		return false
	}
	pull(t, s, r.ref())
	asked.Store(0)
	sent.Store(0)
	pull(t, s, r.ref())
	if asked.Load() != 1 || sent.Load() != 0 {
		t.Errorf("it is asked for the layer %d times, %d of them for all of it", asked.Load(), sent.Load())
	}
	closed.Store(true)
	if _, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: r.ref()}, nil); !model.IsKind(err, model.KindForbidden) && !model.IsKind(err, model.KindNotFound) {
		t.Errorf("without access: %v", err)
	}
}
