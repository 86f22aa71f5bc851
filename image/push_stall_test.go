package image

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// TestRegistryThatTakesNothingIsGivenUp has a registry that lets an upload
// begin and then reads nothing of it. The period is shortened; that the push
// ends at all is what is tested.
func TestRegistryThatTakesNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	const more = 32 << 20 // than fits between two programs
	layer := imagetest.Plain(imagetest.Tar(t, imagetest.File("zeros", string(make([]byte, more)), 0o644)))
	origin := imagetest.StartRegistry(t)
	if _, err := imagetest.PushTar(t.Context(), origin, "big:1", []imagetest.Layer{layer}, imagetest.Config(ocispec.ImageConfig{})); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			w.Header().Set("Location", r.URL.Path+"1")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			<-stop
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() {
		close(stop)
		server.Close()
	})
	root := t.TempDir() + "/images"
	t.Cleanup(func() { Unmount(root) })
	s, err := Open(t.Context(), Config{Root: root, InsecureRegistries: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	img, _, _, err := s.Pull(t.Context(), PullRequest{Ref: origin + "/big:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.stall = stallRule{bytes: 1 << 10, period: 500 * time.Millisecond}
	_, err = s.Push(t.Context(), PushRequest{ImageID: img.ID, Ref: strings.TrimPrefix(server.URL, "http://") + "/big:1"}, nil)
	if !model.IsKind(err, model.KindUnavailable) || !errors.Is(err, errStalled) || !strings.Contains(model.UserText(err), "push again") {
		t.Errorf("error %v, want unavailable", err)
	}
}
