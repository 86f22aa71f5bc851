package image

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// TestSilentRegistryIsGivenUp has a registry that answers and then sends one
// byte now and then. The period is shortened; that the pull ends at all is what
// is tested.
func TestSilentRegistryIsGivenUp(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		w.Header().Set("Content-Length", "1000")
		if r.Method == http.MethodHead {
			return
		}
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-ticker.C:
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
			}
		}
	}))
	t.Cleanup(server.Close)
	root := t.TempDir() + "/images"
	t.Cleanup(func() { Unmount(root) })
	s, err := Open(t.Context(), Config{Root: root, InsecureRegistries: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.stall = stallRule{bytes: 1 << 20, period: 100 * time.Millisecond}
	_, _, _, err = s.Pull(t.Context(), PullRequest{Ref: strings.TrimPrefix(server.URL, "http://") + "/slow:1"}, nil)
	if !model.IsKind(err, model.KindUnavailable) || !strings.Contains(model.UserText(err), "too slowly") {
		t.Errorf("error %v, want unavailable", err)
	}
}

// TestWhatCountsAsTooSlow holds periods of 30 seconds to the rule that nodes have.
func TestWhatCountsAsTooSlow(t *testing.T) {
	t.Parallel()
	const drip = 33 << 10 // a period: a little more than nothing
	for name, test := range map[string]struct {
		moved     []int64
		contested []bool
		want      int // the period at whose end it counts as stalled; 0 is none
	}{
		"silence":                            {moved: []int64{5 << 20, 0}, want: 2},
		"a drip":                             {moved: []int64{5 << 20, drip, drip, drip, drip}, want: 5},
		"a slow line":                        {moved: []int64{300 << 10, 300 << 10, 300 << 10, 300 << 10, 300 << 10}},
		"a slow line that others wait for":   {moved: []int64{300 << 10, 300 << 10, 300 << 10}, contested: []bool{false, true, true}, want: 3},
		"others who wait for a moment":       {moved: []int64{300 << 10, 300 << 10, 300 << 10, 300 << 10}, contested: []bool{true, false, true, false}},
		"a good line that others wait for":   {moved: []int64{9 << 20, 9 << 20, 9 << 20}, contested: []bool{true, true, true}},
		"the end of a drip's patience comes": {moved: []int64{drip, drip, drip, drip}, want: 4},
	} {
		j, stalled := judge{rule: defaultStall}, 0
		for i, moved := range test.moved {
			contested := len(test.contested) > i && test.contested[i]
			if j.stalled(moved, contested) && stalled == 0 {
				stalled = i + 1
			}
		}
		if stalled != test.want {
			t.Errorf("%s: stalled after %d periods, want %d", name, stalled, test.want)
		}
	}
}

// TestADrippingRegistryHoldsUpNobody has a registry that sends the beginning of other bytes
// than a layer has, and then nothing more, for as long as nobody else wants the layer. Who would
// have it from another registry gets it from there.
func TestADrippingRegistryHoldsUpNobody(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	layer := imagetest.Plain(imagetest.Tar(t, imagetest.File("f", strings.Repeat("x", 1<<20), 0o644)))
	origin := imagetest.StartRegistry(t)
	desc, err := imagetest.PushTar(t.Context(), origin, "img:1", []imagetest.Layer{layer}, imagetest.Config(ocispec.ImageConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	honest := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", origin, origin
	}}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, digest.FromBytes(layer.Blob).String()) {
			honest.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(layer.Blob)))
		w.Write(bytes.Repeat([]byte("?"), 1<<10))
		w.(http.Flusher).Flush()
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(evil.Close)
	root := t.TempDir() + "/images"
	t.Cleanup(func() { Unmount(root) })
	s, err := Open(t.Context(), Config{Root: root, InsecureRegistries: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.stall = stallRule{period: 50 * time.Millisecond, contested: 1 << 30}

	dripped := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _, _, err := s.Pull(ctx, PullRequest{Ref: strings.TrimPrefix(evil.URL, "http://") + "/img:1"}, nil)
		dripped <- err
	}()
	<-asked
	img, _, _, err := s.Pull(t.Context(), PullRequest{Ref: origin + "/img:1"}, nil)
	if err != nil || img.Digest != desc.Digest.String() {
		t.Errorf("beside a registry that drips: image %q, error %v", img.Digest, err)
	}
	if err := <-dripped; !errors.Is(err, errStalled) || !strings.Contains(model.UserText(err), "too slowly") {
		t.Errorf("the registry that drips ends with %v", err)
	}
}
