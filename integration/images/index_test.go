package images

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
)

// described is a manifest in an index.
type described struct {
	MediaType string            `json:"mediaType"`
	Digest    string            `json:"digest"`
	Size      int               `json:"size"`
	Platform  map[string]string `json:"platform"`
}

// TestPullFromAnIndex has a name that means an image for each of two platforms.
func TestPullFromAnIndex(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	pushLarge(t, r.address+"/many:native", 1<<20)
	pushLarge(t, r.address+"/many:foreign", 2<<20)
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": []described{
		r.describe(t, "many", "foreign", "s390x"), r.describe(t, "many", "native", runtime.GOARCH),
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.call(t, http.MethodPut, "/v2/many/manifests/1", indexType, string(index))
	name := r.address + "/many:1"
	forget(t, b, name)
	b.Docker(t, "pull", name)
	if out := b.Docker(t, "run", "--rm", name, "sh", "-c", "wc -c < /big"); out != "1048576" {
		t.Errorf("the image's file has %s bytes", out)
	}
	if said := refused(t, b, "pull", "--platform", "linux/arm64", name); !strings.Contains(said, "no matching manifest for linux/arm64") {
		t.Errorf("of a platform that is not there it says %q", said)
	}
	if said := refused(t, b, "pull", "--platform", "linux/s390x", name); !strings.Contains(said, "s390x") {
		t.Errorf("of a platform that no node has it says %q", said)
	}
	found := decoded[struct {
		Platforms []struct{ Architecture string }
	}](t, api(t, b, http.MethodGet, "/v1.50/distribution/"+name+"/json"))
	if len(found.Platforms) != 2 || found.Platforms[0].Architecture != "s390x" {
		t.Errorf("the platforms are %+v", found.Platforms)
	}
}

// describe tells of a tag as an index does.
func (r *registry) describe(t *testing.T, repository, tag, architecture string) described {
	t.Helper()
	text, header := r.call(t, http.MethodGet, "/v2/"+repository+"/manifests/"+tag, manifestType, "")
	return described{
		MediaType: manifestType, Digest: header.Get("Docker-Content-Digest"), Size: len(text),
		Platform: map[string]string{"os": "linux", "architecture": architecture},
	}
}
