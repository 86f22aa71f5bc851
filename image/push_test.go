package image_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/image/registry"
	"github.com/spearheadcloud/spearhead/model"
)

// pushed pushes an image and returns its digest and the last status of each
// layer.
func pushed(t testing.TB, s *image.Store, id, ref string) (ocispec.Descriptor, map[string]string) {
	t.Helper()
	last := map[string]string{}
	desc, err := s.Push(t.Context(), image.PushRequest{ImageID: id, Ref: ref}, func(p image.Progress) { last[p.Layer] = p.Status })
	if err != nil {
		t.Fatalf("push to %s: %v", ref, err)
	}
	return desc, last
}

// allLayers is what the statuses of a push are when all layers have the same.
func allLayers(img model.Image, status string) map[string]string {
	all := map[string]string{}
	for _, id := range img.DiffIDs {
		all[strings.TrimPrefix(id, "sha256:")[:12]] = status
	}
	return all
}

func TestPushedImageIsTheSame(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	from, to := imagetest.StartRegistry(t), imagetest.StartRegistry(t)
	layers, config := threeLayers(t)
	want := push(t, from, "origin:1", layers, config)
	img := pull(t, s, from+"/origin:1")
	for _, step := range []struct{ name, status string }{
		{"team/app:1", image.StatusPushed},
		{"team/app:2", image.StatusPushExisted},
		{"other/app:1", image.StatusMounted + "team/app"},
	} {
		desc, last := pushed(t, s, img.ID, to+"/"+step.name)
		if desc.Digest != want.Digest || desc.Size != want.Size {
			t.Errorf("%s: manifest %s of %d bytes, want %s of %d", step.name, desc.Digest, desc.Size, want.Digest, want.Size)
		}
		if diff := cmp.Diff(allLayers(img, step.status), last); diff != "" {
			t.Errorf("%s: last statuses (-want +got):\n%s", step.name, diff)
		}
	}
	second := openOverlay(t)
	got, resolved, _, err := second.Pull(t.Context(), image.PullRequest{Ref: to + "/other/app@" + want.Digest.String()}, nil)
	if err != nil || got.ID != img.ID || resolved != want.Digest.String() {
		t.Fatalf("pulled %s of %s: %v, want %s of %s", got.ID, resolved, err, img.ID, want.Digest)
	}
	checkTree(t, mounted(t, second, "c1", got.ID))
}

// TestPushOfACommit has a layer that no registry has seen.
func TestPushOfACommit(t *testing.T) {
	t.Parallel()
	s, root, img := rootToChange(t, image.Config{Root: storeDir(t)})
	needRoot(t)
	change(t, root)
	committed, err := s.Commit(t.Context(), "c1", image.CommitOptions{Config: img.Config})
	if err != nil {
		t.Fatal(err)
	}
	to := imagetest.StartRegistry(t)
	pushed(t, s, committed.ID, to+"/app:1")
	second := openOverlay(t)
	if got := pull(t, second, to+"/app:1"); got.ID != committed.ID {
		t.Errorf("pulled %s, want %s", got.ID, committed.ID)
	}
	data, err := os.ReadFile(filepath.Join(mounted(t, second, "c2", committed.ID), "etc/passwd"))
	if err != nil || string(data) != "root and others" {
		t.Errorf("the file that was changed holds %q: %v", data, err)
	}
}

func TestPushWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	_, err := s.Push(t.Context(), image.PushRequest{ImageID: "sha256:" + strings.Repeat("0", 64), Ref: "localhost:1/x"}, nil)
	if !model.IsKind(err, model.KindNotFound) || !strings.HasPrefix(model.UserText(err), "No such image: ") {
		t.Errorf("error %v, want no such image", err)
	}
}

// TestRegistryWithPasswordAndPrivateAuthority pushes, pulls and asks a registry
// that knows its users by password and has a certificate of its own authority.
func TestRegistryWithPasswordAndPrivateAuthority(t *testing.T) {
	t.Parallel()
	needRoot(t)
	ip, data := outerAddress(t), t.TempDir()
	plain := imagetest.Options{IP: "127.0.0.1", Data: data}.Start(t)
	layers, config := threeLayers(t)
	want := push(t, plain, "private:1", layers, config)
	certificate, key := imagetest.SelfSigned(t, ip)
	const password, wrong = "correct-horse-battery", "not-the-password-at-all"
	address := imagetest.Options{IP: ip, Data: data, Certificate: certificate, Key: key, Users: map[string]string{"ann": password}}.Start(t)

	certs, root := t.TempDir(), storeDir(t)
	var said lockedBuffer
	s := open(t, image.Config{Root: root, CertsDir: certs, Logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	good := image.PullRequest{Ref: address + "/private:1", Username: "ann", Password: password}
	if _, _, _, err := s.Pull(t.Context(), good, nil); !strings.Contains(model.UserText(err), "certificate") {
		t.Errorf("the authority is not known, but: %v", err)
	}
	folder := filepath.Join(certs, address)
	authority, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.crt"), authority, 0o600); err != nil {
		t.Fatal(err)
	}

	img, _, _, err := s.Pull(t.Context(), good, nil)
	if err != nil {
		t.Fatal(err)
	}
	desc, platforms, err := s.Resolve(t.Context(), good)
	if err != nil || desc.Digest != want.Digest || len(platforms) != 1 || platforms[0].OS != "linux" {
		t.Errorf("resolved to %s for %v: %v", desc.Digest, platforms, err)
	}
	if tags, err := s.Tags(t.Context(), good); err != nil || !cmp.Equal(tags, []string{"1"}) {
		t.Errorf("tags %q: %v", tags, err)
	}
	for _, test := range []struct {
		credentials registry.Credentials
		want        string
	}{
		{registry.Credentials{Username: "ann", Password: password}, ""},
		{registry.Credentials{}, "no basic auth credentials"},
		{registry.Credentials{Username: "ann", Password: wrong}, "unauthorized: authentication required"},
	} {
		_, err := s.Push(t.Context(), image.PushRequest{ImageID: img.ID, Ref: address + "/copy:1", Credentials: test.credentials}, nil)
		if got := model.UserText(err); err == nil && test.want != "" || err != nil && got != test.want {
			t.Errorf("push as %q: %v, want %q", test.credentials.Username, err, test.want)
		}
	}
	if text := said.String(); strings.Contains(text, password) || strings.Contains(text, wrong) {
		t.Errorf("the log holds a password: %s", text)
	}
	for _, secret := range []string{password, wrong, base64.StdEncoding.EncodeToString([]byte("ann:" + password))} {
		if found := filesWith(t, root, secret); len(found) > 0 {
			t.Errorf("credentials are on the disk, in %v", found)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// between is a proxy before a real registry, at an address of its own, that
// may answer requests itself.
func between(t *testing.T, address string, answer func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			proxy.ServeHTTP(w, r) // the host of the request stays: it is in the locations that the registry makes
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestPushGoesOnAfterABreak has a registry that breaks off the first uploads.
func TestPushGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	behind := imagetest.StartRegistry(t)
	push(t, behind, "big:1", []imagetest.Layer{bigLayer(t)}, imagetest.Config(ocispec.ImageConfig{}))
	img := pull(t, s, behind+"/big:1")
	var breaks atomic.Int32
	target := imagetest.StartRegistry(t)
	address := between(t, target, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/blobs/") || breaks.Add(1) > 2 {
			return false
		}
		r.Body.Read(make([]byte, 1000))
		panic(http.ErrAbortHandler)
	})
	pushed(t, s, img.ID, address+"/big:1")
	if breaks.Load() < 3 {
		t.Errorf("the registry broke off %d uploads, want 2", breaks.Load())
	}
	pull(t, openOverlay(t), target+"/big:1")
}

// TestResolveOfAnIndex asks what an index has.
func TestResolveOfAnIndex(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	address := imagetest.StartRegistry(t)
	layers, config := threeLayers(t)
	one := push(t, address, "docker:one", layers, config)
	want := []ocispec.Platform{{OS: "linux", Architecture: "arm64", Variant: "v8"}, {OS: "linux", Architecture: "s390x"}}
	index := ocispec.Index{Versioned: mustManifest(t, layers, config).Versioned, MediaType: ocispec.MediaTypeImageIndex}
	for i := range want {
		entry := one
		entry.Platform = &want[i]
		index.Manifests = append(index.Manifests, entry)
	}
	all := pushDocument(t, address, "all", index.MediaType, index)
	desc, platforms, err := s.Resolve(t.Context(), image.PullRequest{Ref: address + "/docker:all"})
	if err != nil || desc.Digest != all.Digest || desc.MediaType != index.MediaType || desc.Size != all.Size {
		t.Errorf("resolved to %v: %v, want %v", desc, err, all)
	}
	if diff := cmp.Diff(want, platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	_, _, _, err = s.Pull(t.Context(), image.PullRequest{Ref: address + "/docker:all", Platform: "linux/riscv64"}, nil)
	if text := "no matching manifest for linux/riscv64 in the manifest list entries"; !model.IsKind(err, model.KindNotFound) || model.UserText(err) != text {
		t.Errorf("a foreign platform: %v, want %q", err, text)
	}
}

// TestLayersFromElsewhere has a layer whose maker lets it only be fetched from
// a place of his.
func TestLayersFromElsewhere(t *testing.T) {
	t.Parallel()
	s := openOverlay(t)
	address := imagetest.StartRegistry(t)
	layers, config := threeLayers(t)
	push(t, address, "docker:one", layers, config)
	m := mustManifest(t, layers, config)
	m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	m.Layers[0].URLs = []string{"https://elsewhere.example/layer"}
	pushDocument(t, address, "foreign", m.MediaType, m)
	_, _, _, err := s.Pull(t.Context(), image.PullRequest{Ref: address + "/docker:foreign"}, nil)
	if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "only be fetched from elsewhere") {
		t.Errorf("error %v, want a refusal of the layer", err)
	}
}

// TestMirrors pulls an image of docker.io, which cannot be reached from here,
// from the second of two mirrors.
func TestMirrors(t *testing.T) {
	t.Parallel()
	needRoot(t)
	behind := imagetest.StartRegistry(t)
	layers, config := threeLayers(t)
	want := push(t, behind, "library/app:1", layers, config)
	var asked atomic.Int32
	const password = "hub-password"
	mirror := between(t, behind, func(_ http.ResponseWriter, r *http.Request) bool {
		asked.Add(1)
		text, err := json.Marshal(r.Header)
		if _, known := r.Header["Authorization"]; known || err != nil || bytes.Contains(text, []byte(password)) {
			t.Errorf("the mirror was sent credentials: %s, %v", text, err)
		}
		return false
	})
	s := open(t, image.Config{Root: storeDir(t), Mirrors: []string{"http://127.0.0.1:1", "http://" + mirror}})
	img, resolved, _, err := s.Pull(t.Context(), image.PullRequest{Ref: "app:1", Username: "ann", Password: password}, nil)
	if err != nil || resolved != want.Digest.String() || asked.Load() == 0 {
		t.Fatalf("pulled %s: %v; the mirror was asked %d times", resolved, err, asked.Load())
	}
	checkTree(t, mounted(t, s, "c1", img.ID))
	for _, bad := range []string{"", "ftp://x", "http://", "a b", "https://user:word@x"} {
		if _, err := image.Open(t.Context(), image.Config{Root: storeDir(t), Mirrors: []string{bad}}); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("mirror %q: %v, want invalid", bad, err)
		}
	}
}
