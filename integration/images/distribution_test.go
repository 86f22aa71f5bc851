package images

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestDistribution asks what a registry has, without pulling it.
func TestDistribution(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	name := r.address + "/asked:1"
	fresh(t, b, name)
	b.Docker(t, "push", name)
	digest := digestOf(t, b, name)
	b.Docker(t, "rmi", name)
	answer := decoded[struct {
		Descriptor struct {
			MediaType, Digest string
			Size              int64
		}
		Platforms []struct{ OS, Architecture string }
	}](t, api(t, b, http.MethodGet, "/v1.50/distribution/"+name+"/json"))
	if answer.Descriptor.Digest != digest || answer.Descriptor.Size == 0 || !strings.Contains(answer.Descriptor.MediaType, "manifest") {
		t.Errorf("the registry has %+v, want digest %s", answer.Descriptor, digest)
	}
	if len(answer.Platforms) != 1 || answer.Platforms[0].Architecture != runtime.GOARCH || answer.Platforms[0].OS != "linux" {
		t.Errorf("the platforms are %+v", answer.Platforms)
	}
	missing := api(t, b, http.MethodGet, "/v1.50/distribution/"+r.address+"/asked:2/json")
	text, err := io.ReadAll(missing.Body)
	if err != nil || missing.StatusCode != http.StatusNotFound {
		t.Errorf("of what is not there: status %d: %s", missing.StatusCode, text)
	}
	if out := b.Docker(t, "images", "-q", r.address+"/asked"); out != "" {
		t.Errorf("asking left the image %q", out)
	}
	if out := b.Docker(t, "manifest", "inspect", "--insecure", name); !strings.Contains(out, `"layers"`) {
		t.Errorf("docker manifest inspect says %q", out)
	}
}

// TestSearch has a registry that has no search, and what is wrong before any is asked.
func TestSearch(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	refusedWith(t, b, "registry "+r.address+" has no search", "search", r.address+"/app")
	refusedWith(t, b, "should not have a scheme", "search", "https://"+r.address+"/app")
	refusedWith(t, b, "limit", "search", "--limit", "1000", r.address+"/app")
	refusedWith(t, b, "cannot be reached", "search", freeHost(t, b)+"/app")
}
