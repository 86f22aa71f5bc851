package image_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// fakeRegistry serves one image and misbehaves where a test wants it to.
type fakeRegistry struct {
	*httptest.Server
	manifest []byte
	blobs    map[string][]byte
	// bad may answer a request itself; it returns false to let it pass.
	bad func(w http.ResponseWriter, r *http.Request) bool
}

// bigLayer is a layer that takes more than one write to the network.
func bigLayer(t testing.TB) imagetest.Layer {
	return noise(t, 1, 1<<20)
}

func newFake(t testing.TB, bad func(w http.ResponseWriter, r *http.Request) bool) *fakeRegistry {
	t.Helper()
	return newFakeOf(t, bigLayer(t), bad)
}

// newFakeOf is newFake with another layer, of more than a MiB.
func newFakeOf(t testing.TB, layer imagetest.Layer, bad func(w http.ResponseWriter, r *http.Request) bool) *fakeRegistry {
	t.Helper()
	blobs, manifest, err := imagetest.Assemble([]imagetest.Layer{layer}, imagetest.Config(ocispec.ImageConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeRegistry{manifest: manifest, blobs: map[string][]byte{}, bad: bad}
	for _, blob := range blobs {
		f.blobs[digest.FromBytes(blob).String()] = blob
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

func (f *fakeRegistry) ref() string { return strings.TrimPrefix(f.URL, "http://") + "/img:1" }

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.bad != nil && f.bad(w, r) {
		return
	}
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if strings.Contains(r.URL.Path, "/manifests/") {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(f.manifest).String())
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(f.manifest)))
		return
	}
	blob, ok := f.blobs[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(blob)))
}

func isLayer(f *fakeRegistry, r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/blobs/") && len(f.blobs[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]) > 1<<20
}

func openOverlay(t testing.TB) *image.Store {
	needRoot(t)
	return open(t, image.Config{Root: storeDir(t)})
}

// TestMisbehavingRegistries pulls from registries that break the rules. Each
// pull ends by itself, and the next one, from an honest registry, succeeds.
func TestMisbehavingRegistries(t *testing.T) {
	needRoot(t)
	for _, test := range []struct {
		name string
		kind model.Kind
		bad  func(f *fakeRegistry) func(w http.ResponseWriter, r *http.Request) bool
	}{
		{"other bytes of the same length", model.KindInvalid, func(f *fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if !isLayer(f, r) {
					return false
				}
				name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
				w.Write(append([]byte("X"), f.blobs[name][1:]...))
				return true
			}
		}},
		{"another configuration", model.KindInvalid, func(f *fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/blobs/") || isLayer(f, r) {
					return false
				}
				w.Write([]byte(`{"os":"linux"}`))
				return true
			}
		}},
		{"endless body", model.KindInvalid, func(f *fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if !isLayer(f, r) {
					return false
				}
				chunk := make([]byte, 64<<10)
				for r.Context().Err() == nil {
					if _, err := w.Write(chunk); err != nil {
						break
					}
				}
				return true
			}
		}},
		{"too many requests", model.KindUnavailable, status(http.StatusTooManyRequests)},
		{"server error", model.KindUnavailable, status(http.StatusInternalServerError)},
		{"not found", model.KindNotFound, status(http.StatusNotFound)},
		{"forbidden", model.KindNotFound, status(http.StatusForbidden)},
		{"endless 401", model.KindNotFound, func(*fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
		}},
		{"redirects without end", model.KindUnavailable, func(*fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, r.URL.Path+"x", http.StatusTemporaryRedirect)
				return true
			}
		}},
		{"redirect to metadata address", model.KindForbidden, func(f *fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if isLayer(f, r) {
					http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusTemporaryRedirect)
					return true
				}
				return false
			}
		}},
		{"manifest of another type", model.KindInvalid, func(f *fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/manifests/") {
					w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
					w.Header().Set("Docker-Content-Digest", digest.FromBytes(f.manifest).String())
					http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(f.manifest)))
					return true
				}
				return false
			}
		}},
		{"no registry at all", model.KindUnavailable, func(f *fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := image.Config{Root: storeDir(t)}
			s := open(t, cfg)
			before := files(t, cfg.Root)
			f := newFake(t, nil)
			f.bad = test.bad(f)
			_, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: f.ref()}, nil)
			if !model.IsKind(err, test.kind) {
				t.Errorf("error of kind %s, want %s: %v", model.KindOf(err), test.kind, err)
			}
			if left := files(t, cfg.Root); test.kind != model.KindUnavailable && !cmp.Equal(before, left) {
				t.Errorf("it left %v", left)
			}
			pull(t, s, newFake(t, nil).ref())
		})
	}
}

func status(code int) func(*fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
	return func(*fakeRegistry) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(code)
			return true
		}
	}
}

func TestDyingConnectionIsContinued(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	var sent, deaths atomic.Int64
	f := newFake(t, nil)
	f.bad = func(w http.ResponseWriter, r *http.Request) bool {
		if !isLayer(f, r) || deaths.Add(1) > 2 {
			return false
		}
		w = &cutWriter{ResponseWriter: w, left: 300 << 10, sent: &sent}
		f.bad = nil
		defer func() { panic(http.ErrAbortHandler) }()
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(f.blobs[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]])))
		return true
	}
	pull(t, s, f.ref())
	if sent.Load() == 0 {
		t.Error("the connection never died")
	}
}

// cutWriter dies after some bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
	sent *atomic.Int64
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	c.sent.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

func TestInterruptedPullGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	f := newFake(t, nil)
	var ranges atomic.Value
	half := make(chan struct{})
	f.bad = func(w http.ResponseWriter, r *http.Request) bool {
		if !isLayer(f, r) {
			return false
		}
		blob := f.blobs[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
		w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
		w.Write(blob[:512<<10])
		w.(http.Flusher).Flush()
		close(half)
		<-r.Context().Done()
		return true
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-half
		time.AfterFunc(200*time.Millisecond, cancel) // the bytes are on their way
	}()
	if _, _, _, err := s.Pull(ctx, image.PullRequest{Ref: f.ref()}, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled pull: %v", err)
	}
	if err := s.CollectGarbage(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.bad = func(w http.ResponseWriter, r *http.Request) bool {
		if isLayer(f, r) {
			ranges.Store(r.Header.Get("Range"))
		}
		return false
	}
	pull(t, s, f.ref())
	if got, _ := ranges.Load().(string); got == "" || got == "bytes=0-" {
		t.Errorf("the second pull asked for range %q, want the rest", got)
	}
}

func TestMissingImagesAreToldInDockersWords(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	registry := imagetest.StartRegistry(t)
	layers, config := threeLayers(t)
	push(t, registry, "three:1", layers, config)
	for ref, want := range map[string]string{
		registry + "/three:2": "manifest for " + registry + "/three:2 not found: manifest unknown: manifest unknown",
		registry + "/none:1":  "manifest for " + registry + "/none:1 not found: manifest unknown: manifest unknown",
	} {
		_, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: ref}, nil)
		if !model.IsKind(err, model.KindNotFound) || model.UserText(err) != want {
			t.Errorf("%s: %s %q, want %q", ref, model.KindOf(err), model.UserText(err), want)
		}
	}
	for _, ref := range []string{"", "UPPER", "a b", "x@sha256:1", "a\nb", "\x1b[31mred", strings.Repeat("a", 300)} {
		if _, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: ref}, nil); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%q: %v, want invalid", ref, err)
		}
	}
}

func TestIndexGivesTheImageOfThePlatform(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	registry := imagetest.StartRegistry(t)
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for i, arch := range []string{other, runtime.GOARCH} {
		config := imagetest.Config(ocispec.ImageConfig{})
		config.Architecture = arch
		desc := push(t, registry, fmt.Sprintf("multi:%s", arch), []imagetest.Layer{imagetest.Gzip(imagetest.Tar(t, imagetest.File("f", fmt.Sprint(i), 0o644)))}, config)
		desc.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, desc)
	}
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := imagetest.PushManifest(t.Context(), registry, "multi", "all", index.MediaType, data)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{registry + "/multi:all", registry + "/multi@" + desc.Digest.String()} {
		img, resolved, _, err := s.Pull(t.Context(), image.PullRequest{Ref: ref}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if img.Architecture != runtime.GOARCH || resolved != desc.Digest.String() {
			t.Errorf("%s: %s from %s, want %s from %s", ref, img.Architecture, resolved, runtime.GOARCH, desc.Digest)
		}
	}
	for _, ref := range []string{registry + "/multi:all", registry + "/multi:" + runtime.GOARCH} {
		_, _, _, err = s.Pull(t.Context(), image.PullRequest{Ref: ref, Platform: "linux/s390x"}, nil)
		want := "no matching manifest for linux/s390x in the manifest list entries"
		if !model.IsKind(err, model.KindNotFound) || model.UserText(err) != want {
			t.Errorf("%s for s390x: %q, want %q", ref, model.UserText(err), want)
		}
	}
}

// TestCredentialsReachTheRegistryOnly has a registry that wants a token from a
// realm, as Docker Hub does.
func TestCredentialsReachTheRegistryOnly(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	f := newFake(t, nil)
	realm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "u" || password != "p" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, `{"token":"the-token"}`)
	}))
	t.Cleanup(realm.Close)
	f.bad = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer the-token" {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, realm.URL))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	_, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: f.ref(), Username: "u", Password: "wrong"}, nil)
	want := fmt.Sprintf("pull access denied for %s, repository does not exist or may require 'docker login'", strings.TrimSuffix(f.ref(), ":1"))
	if !model.IsKind(err, model.KindNotFound) || model.UserText(err) != want {
		t.Errorf("wrong password: %s %q, want %q", model.KindOf(err), model.UserText(err), want)
	}
	if strings.Contains(fmt.Sprint(err), "wrong") {
		t.Errorf("the error holds the password: %v", err)
	}
	for name, r := range map[string]image.PullRequest{
		"user and password": {Ref: f.ref(), Username: "u", Password: "p"},
		"registry token":    {Ref: f.ref(), RegistryToken: "the-token"},
	} {
		if _, _, _, err := s.Pull(t.Context(), r, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: f.ref()}, nil); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("an image that is held here was given to one who may not read it: %v", err)
	}
}

func TestConfigurationsThatBreakRulesAreRefused(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	registry := imagetest.StartRegistry(t)
	layer := []imagetest.Layer{imagetest.Gzip(imagetest.Tar(t, imagetest.File("f", "", 0o644)))}
	for name, config := range map[string]ocispec.ImageConfig{
		"env":      {Env: []string{"A=" + strings.Repeat("x", 1<<20)}},
		"user":     {User: "4294967296"},
		"user-1":   {User: "-1"},
		"user0x":   {User: "0x0"},
		"workdir":  {WorkingDir: "/proc/self/fd/8"},
		"volume":   {Volumes: map[string]struct{}{"/": {}}},
		"volumeup": {Volumes: map[string]struct{}{"../../x": {}}},
		"args":     {Entrypoint: make([]string, 10_000)},
		"label":    {Labels: map[string]string{"spearhead.brand": "zone"}},
		"port":     {ExposedPorts: map[string]struct{}{"70000/tcp": {}}},
	} {
		push(t, registry, name+":1", layer, imagetest.Config(config))
		if _, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: registry + "/" + name + ":1"}, nil); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	for name, layers := range map[string][]imagetest.Layer{
		"other-diffid": {{MediaType: layer[0].MediaType, Blob: layer[0].Blob, DiffID: digest.FromString("x")}},
		"many-layers":  manyLayers(257, layer[0]),
	} {
		push(t, registry, name+":1", layers, imagetest.Config(ocispec.ImageConfig{}))
		if _, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: registry + "/" + name + ":1"}, nil); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if ids, err := s.List(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("images are %v (%v), want none", ids, err)
	}
}

func manyLayers(n int, layer imagetest.Layer) []imagetest.Layer {
	layers := make([]imagetest.Layer, n)
	for i := range layers {
		layers[i] = layer
	}
	return layers
}

func TestEmptyImage(t *testing.T) {
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		registry := imagetest.StartRegistry(t)
		push(t, registry, "empty:1", nil, imagetest.Config(ocispec.ImageConfig{Cmd: []string{"/x"}}))
		s := open(t, cfg)
		img := pull(t, s, registry+"/empty:1")
		if diff := cmp.Diff(int64(0), img.Size); diff != "" {
			t.Error(diff)
		}
		mounted(t, s, "c1", img.ID)
	})
}
