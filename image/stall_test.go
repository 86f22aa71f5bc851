package image

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
