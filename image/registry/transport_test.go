package registry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestMirrorsAreReadFirst reads what is on docker.io, which cannot be reached
// from here, as builders do.
func TestMirrorsAreReadFirst(t *testing.T) {
	t.Parallel()
	var asked []string
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		if r.Header.Get("Authorization") != "" {
			t.Error("the mirror is sent credentials")
		}
		if !strings.HasSuffix(r.URL.Path, "/library/here/manifests/1") {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "a manifest")
	}))
	defer mirror.Close()
	p, err := NewPolicy(Options{Mirrors: []string{"http://127.0.0.1:1", mirror.URL + "/deep"}, Insecure: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	hub, err := p.Transport("registry-1.docker.io")
	if err != nil {
		t.Fatal(err)
	}
	own := &ownAnswers{}
	through := mirroredTransport{hub.(mirroredTransport).mirrors, own}
	ask := func(method, path string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, "https://registry-1.docker.io"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer secret")
		answer, err := through.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := ask(http.MethodGet, "/v2/library/here/manifests/1"); got != "a manifest" || own.asked != 0 {
		t.Errorf("it reads %q; docker.io was asked %d times", got, own.asked)
	}
	if got := ask(http.MethodGet, "/v2/library/absent/manifests/1"); got != "of docker.io" {
		t.Errorf("what no mirror has is %q", got)
	}
	for _, other := range []string{"POST /v2/library/here/blobs/uploads/", "GET /v2/"} {
		method, path, _ := strings.Cut(other, " ")
		if got := ask(method, path); got != "of docker.io" {
			t.Errorf("%s goes elsewhere: %q", other, got)
		}
	}
	if want := "GET /deep/v2/library/here/manifests/1 GET /deep/v2/library/absent/manifests/1"; strings.Join(asked, " ") != want {
		t.Errorf("the mirror was asked %q", asked)
	}
	if other, err := p.Transport("registry.example"); err != nil {
		t.Error(err)
	} else if _, mirrored := other.(mirroredTransport); mirrored {
		t.Error("another registry is read from mirrors of docker.io")
	}
}

// ownAnswers is docker.io.
type ownAnswers struct{ asked int }

func (o *ownAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	o.asked++
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("of docker.io")), Request: r}, nil
}
