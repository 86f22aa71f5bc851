package dockerapi

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// fuzzed answers requests of any form with a fake that has one container, x,
// and refuses to change anything.
func fuzzed() http.Handler {
	f := newFake()
	f.containers = []*model.Container{{ID: strings.Repeat("a", 64), Name: "x", Phase: model.PhaseCreated}}
	f.fail = model.Errorf(model.KindConflict, "the fake changes nothing")
	f.pull = func(func(wire.PullProgress)) (PullResult, error) { return PullResult{}, f.fail }
	return f.handler()
}

// answerOf sends a request and reports an answer that only a defect could give.
func answerOf(t *testing.T, handler http.Handler, method, path, query, body string) {
	t.Helper()
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, "", query
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code == http.StatusInternalServerError || w.Code > http.StatusNotImplemented && w.Code != http.StatusServiceUnavailable {
		t.Errorf("%s %s?%s: %d %s", method, path, query, w.Code, w.Body)
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add("/v1.24", `{"Memory":314572800,"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":4}}`)
	f.Add("", `{"CpuShares":512,"BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":1}],"PidsLimit":-1,"NanoCpus":1500000000}`)
	handler := fuzzed()
	f.Fuzz(func(t *testing.T, version, body string) {
		answerOf(t, handler, "POST", version+"/containers/x/update", "", body)
	})
}

func FuzzExec(f *testing.F) {
	f.Add("/v1.20", `{"Cmd":["sh","-c","id"],"Tty":true,"DetachKeys":"ctrl-p,ctrl-q"}`)
	f.Add("", `{"Cmd":["id"],"Env":["A=b"],"ConsoleSize":[24,80],"WorkingDir":"/"}`)
	handler := fuzzed()
	f.Fuzz(func(t *testing.T, version, body string) {
		answerOf(t, handler, "POST", version+"/containers/x/exec", "", body)
	})
}

func FuzzCommit(f *testing.F) {
	f.Add("container=x&repo=a/b&tag=c&changes=CMD+x", `{"Env":["A=b"],"ExposedPorts":{"80/tcp":{}}}`)
	f.Add("container=x&repo=localhost:5000/a@sha256:00", `null`)
	handler := fuzzed()
	f.Fuzz(func(t *testing.T, query, body string) {
		answerOf(t, handler, "POST", "/commit", query, body)
	})
}

// FuzzFilters gives each list and prune any filters. Events are not among them:
// theirs are read in the same way, and the stream has no end.
func FuzzFilters(f *testing.F) {
	for _, filters := range []string{
		`{"label":["a=b"],"status":["exited"]}`, `{"name":{"^x$":true}}`, `{"until":["10m"],"label!":["a"]}`, `{"dangling":["false"]}`,
		`{"health":["healthy"],"publish":["80-90/tcp"],"before":["x"]}`, `{"reference":["*[a-z]:1"]}`, `{"type":["custom"]}`,
	} {
		f.Add(filters)
	}
	handler := fuzzed()
	paths := map[string]string{
		"/containers/json": "GET", "/images/json": "GET", "/networks": "GET", "/volumes": "GET", "/containers/prune": "POST",
		"/images/prune": "POST", "/networks/prune": "POST", "/volumes/prune": "POST", "/build/prune": "POST",
	}
	f.Fuzz(func(t *testing.T, filters string) {
		for path, method := range paths {
			answerOf(t, handler, method, path, url.Values{"all": {"1"}, "filters": {filters}}.Encode(), "")
		}
	})
}

func FuzzArchiveQuery(f *testing.F) {
	f.Add("path=/there/is&noOverwriteDirNonDir=true", "a tar archive")
	f.Add("path=%00&copyUIDGID=no", "")
	handler := fuzzed()
	f.Fuzz(func(t *testing.T, query, body string) {
		for _, method := range []string{"GET", "HEAD", "PUT"} {
			answerOf(t, handler, method, "/containers/x/archive", query, body)
		}
		answerOf(t, handler, "POST", "/v1.20/containers/x/copy", query, body)
	})
}

// FuzzRegistryAuth gives a push any credentials: they are taken or refused, and
// what is taken is what the header says.
func FuzzRegistryAuth(f *testing.F) {
	for _, text := range []string{`{}`, `{"username":"a","password":"b"}`, `{"auth":"YTpi"}`, `{"identitytoken":"x","serveraddress":"y"}`, `{"username":1}`, `{}{}`, `null`} {
		f.Add(base64.URLEncoding.EncodeToString([]byte(text)))
	}
	f.Add("%%%")
	fake := newFake()
	handler := fake.handler()
	f.Fuzz(func(t *testing.T, header string) {
		fake.moved.pushed = PushRequest{}
		r := httptest.NewRequest("POST", "/images/busybox/push", nil)
		r.Header.Set("X-Registry-Auth", header)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("%q: %d %s", header, w.Code, w.Body)
		}
		if w.Code == http.StatusBadRequest && fake.moved.pushed != (PushRequest{}) {
			t.Errorf("%q was refused and pushed", header)
		}
	})
}

// FuzzImageNames gives each route that takes a name any name.
func FuzzImageNames(f *testing.F) {
	for _, name := range []string{"busybox", "localhost:5000/a/b:v1", "a@sha256:" + strings.Repeat("a", 64), "UP", "a//b", ":", "a:b:c", "..", "\x00"} {
		f.Add(name, "latest")
		f.Add(name, "sha256:"+strings.Repeat("b", 64))
	}
	handler := fuzzed()
	f.Fuzz(func(t *testing.T, name, tag string) {
		escaped := url.PathEscape(name)
		for path, method := range map[string]string{
			"/images/" + escaped + "/push": "POST", "/images/" + escaped + "/get": "GET", "/images/" + escaped + "/json": "GET",
			"/images/" + escaped + "/tag": "POST", "/distribution/" + escaped + "/json": "GET",
		} {
			r := httptest.NewRequest(method, "/", nil)
			r.URL.RawPath, r.URL.RawQuery = path, url.Values{"tag": {tag}, "repo": {name}}.Encode()
			if r.URL.Path = "/images/" + name; r.URL.EscapedPath() != path {
				r.URL.Path, r.URL.RawPath = strings.ReplaceAll(path, escaped, name), path
			}
			w := httptest.NewRecorder()
			if handler.ServeHTTP(w, r); w.Code >= http.StatusInternalServerError {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
		for _, query := range []url.Values{{"fromImage": {name}, "tag": {tag}}, {"fromSrc": {"-"}, "repo": {name}, "tag": {tag}}, {"fromImage": {name}}} {
			answerOf(t, handler, "POST", "/images/create", query.Encode(), "")
		}
	})
}
