package build

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// shelf is the content of a node, and what other nodes would bring to it.
type shelf struct {
	mu      sync.Mutex
	here    map[string][]byte
	copies  map[string][]byte // come with CopyImage
	copying int
}

func (s *shelf) Blob(_ context.Context, d string, _ int64) (wire.Blob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.here[d]
	if !ok {
		return wire.Blob{}, model.Errorf(model.KindNotFound, "no %s", d)
	}
	return wire.Blob{Size: int64(len(content)), ReadCloser: io.NopCloser(bytes.NewReader(content))}, nil
}

func (s *shelf) CopyImage(context.Context, wire.CopyRequest) (wire.PullStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copying++
	for d, content := range s.copies {
		s.here[d] = content
	}
	return nothingMore{}, nil
}

type nothingMore struct{}

func (nothingMore) Next() (wire.PullMessage, error) { return wire.PullMessage{}, io.EOF }
func (nothingMore) Close() error                    { return nil }

// image adds an image of one layer to content and returns its manifest's digest.
func image(t *testing.T, content map[string][]byte, layer string) string {
	t.Helper()
	add := func(text []byte) ocispec.Descriptor {
		d := digest.FromBytes(text)
		content[d.String()] = text
		return ocispec.Descriptor{Digest: d, Size: int64(len(text))}
	}
	m, err := json.Marshal(ocispec.Manifest{Config: add([]byte("{}")), Layers: []ocispec.Descriptor{add([]byte(layer))}})
	if err != nil {
		t.Fatal(err)
	}
	return add(m).Digest.String()
}

// openDoor opens a door and returns how a builder asks at it.
func openDoor(t *testing.T, c Config) (*door, func(upstream, path string) (status int, body string)) {
	t.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	d, path := newDoor(c), filepath.Join(t.TempDir(), "node.sock")
	if err := d.open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	return d, func(upstream, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://node"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(upstreamHeader, upstream)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
}

func TestABuilderFindsTheImagesOfItsAccountAndNoOthers(t *testing.T) {
	t.Parallel()
	content, away := map[string][]byte{}, map[string][]byte{}
	own, distant, foreign := image(t, content, "own"), image(t, away, "distant"), image(t, content, "foreign")
	images := &shelf{here: content, copies: away}
	d, ask := openDoor(t, Config{Images: images})
	id := "sha256:" + strings.Repeat("1", 64)
	d.setImages([]wire.BaseImage{
		{Ref: "docker.io/library/own:latest", Image: model.Image{ID: id, Digest: own}},
		{Ref: "reg.example:5000/a/b:1", Image: model.Image{ID: "sha256:" + strings.Repeat("2", 64), Digest: distant}},
	})
	const account = "https://" + accountHost
	layer := digest.FromString("own").String()
	if status, _ := ask(account, "/v2/library/own/blobs/"+layer); status != http.StatusNotFound {
		t.Errorf("a blob that no manifest has named: %d", status)
	}
	for path, want := range map[string]string{
		"/v2/library/own/manifests/latest?ns=docker.io":                             own,
		"/v2/library/own/manifests/" + own + "?ns=docker.io":                        own,
		"/v2/library/" + strings.Repeat("1", 12) + "/manifests/latest?ns=docker.io": own,
		"/v2/a/b/manifests/1?ns=reg.example:5000":                                   distant,
	} {
		if status, body := ask(account, path); status != http.StatusOK || digest.FromString(body).String() != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if images.copying != 1 {
		t.Errorf("%d images were copied from other nodes", images.copying)
	}
	if status, body := ask(account, "/v2/library/own/blobs/"+layer+"?ns=docker.io"); status != http.StatusOK || body != "own" {
		t.Errorf("its layer: %d %s", status, body)
	}
	for _, path := range []string{
		"/v2/library/own/manifests/other?ns=docker.io", "/v2/library/own/manifests/latest?ns=quay.io", "/v2/library/own/manifests/" + foreign + "?ns=docker.io",
		"/v2/library/own/blobs/" + digest.FromString("foreign").String(), "/v2/", "/",
	} {
		if status, _ := ask(account, path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

func TestABuilderReachesRegistriesThroughTheNode(t *testing.T) {
	t.Parallel()
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host+" "+r.URL.Path+" "+r.Header.Get(upstreamHeader))
	}))
	t.Cleanup(registry.Close)
	var asked []string
	_, ask := openDoor(t, Config{Registry: func(host string) (http.RoundTripper, error) {
		asked = append(asked, host)
		if host == "forbidden.example" {
			return nil, model.Errorf(model.KindForbidden, "not this one")
		}
		return http.DefaultTransport, nil
	}})
	host := strings.TrimPrefix(registry.URL, "http://")
	for range 2 {
		if status, body := ask(registry.URL, "/v2/x"); status != http.StatusOK || body != host+" /v2/x " {
			t.Errorf("%d %s", status, body)
		}
	}
	if status, _ := ask("https://forbidden.example", "/v2/x"); status != http.StatusBadGateway {
		t.Errorf("a registry that the node does not reach: %d", status)
	}
	for _, upstream := range []string{"", "x", "ftp://x", "http://"} {
		if status, _ := ask(upstream, "/v2/x"); status != http.StatusBadRequest {
			t.Errorf("%q: %d", upstream, status)
		}
	}
	if len(asked) != 2 || asked[0] != host {
		t.Errorf("the node's rules were asked for %v", asked)
	}
}
