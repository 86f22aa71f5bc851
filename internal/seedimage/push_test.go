package seedimage_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/seedimage"
)

// registry keeps what is pushed to it, and refuses a blob whose digest is wrong.
type registry struct {
	mu       sync.Mutex
	blobs    map[string][]byte
	manifest []byte
}

func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case request.Method == http.MethodPost && request.URL.Path == "/v2/tests/small/blobs/uploads/":
		w.Header().Set("Location", "/v2/tests/small/blobs/uploads/1?state=x")
		w.WriteHeader(http.StatusAccepted)
	case request.Method == http.MethodPut && strings.HasPrefix(request.URL.Path, "/v2/tests/small/blobs/uploads/"):
		sum := sha256.Sum256(body)
		if digest := request.URL.Query().Get("digest"); digest != "sha256:"+hex.EncodeToString(sum[:]) || request.URL.Query().Get("state") != "x" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.blobs["sha256:"+hex.EncodeToString(sum[:])] = body
		w.WriteHeader(http.StatusCreated)
	case request.Method == http.MethodPut && request.URL.Path == "/v2/tests/small/manifests/1":
		r.manifest = body
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestPushedImageIsWhole(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"tar", "gzip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "hello"), []byte("hi"), 0o644); err != nil {
		t.Fatal(err)
	}
	kept := &registry{blobs: map[string][]byte{}}
	server := httptest.NewServer(kept)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	err := seedimage.Push(context.Background(), host+"/tests/small:1", folder, seedimage.Config{Cmd: []string{"/hello"}})
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal(kept.manifest, &manifest); err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("manifest %s, error %v", kept.manifest, err)
	}
	if kept.blobs[manifest.Layers[0].Digest] == nil || !strings.Contains(string(kept.blobs[manifest.Config.Digest]), `"/hello"`) {
		t.Errorf("manifest %s names blobs that were not pushed", kept.manifest)
	}
}

func TestPushRefusesWhatIsNoReference(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"small", "host/small", "small:1"} {
		if err := seedimage.Push(context.Background(), ref, t.TempDir(), seedimage.Config{}); err == nil {
			t.Errorf("%s was taken for HOST:PORT/NAME:TAG", ref)
		}
	}
}
