package dockerapi

import (
	"encoding/base64"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func TestPush(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	auth := base64.URLEncoding.EncodeToString([]byte(`{"auth":"` + base64.StdEncoding.EncodeToString([]byte("jill:s3cret")) + `"}`))
	for _, c := range []struct {
		path, want string // the reference that is pushed
		platform   string
	}{
		{"/images/busybox/push", "docker.io/library/busybox", ""},
		{"/images/busybox/push?tag=v1", "docker.io/library/busybox:v1", ""},
		{"/images/busybox:v2/push", "docker.io/library/busybox:v2", ""},
		{"/images/reg.example:5000/a/b:v2/push?tag=v3", "reg.example:5000/a/b:v3", ""},
		{"/images/busybox/push?platform=%7B%22os%22:%22linux%22,%22architecture%22:%22arm%22,%22variant%22:%22v7%22%7D", "docker.io/library/busybox", "linux/arm/v7"},
		{"/v1.45/images/busybox/push?platform=x", "docker.io/library/busybox", ""},
	} {
		status, body := request(t, s, "POST", c.path, "", "X-Registry-Auth", auth)
		want := PushRequest{Ref: c.want, Platform: c.platform, Auth: wire.RegistryAuth{Username: "jill", Password: "s3cret"}}
		if diff := cmp.Diff(want, f.moved.pushed); diff != "" || status != 200 {
			t.Errorf("%s: %d %s\n%s", c.path, status, body, diff)
		}
	}
	for path, want := range map[string]int{
		"/images/UP/push": 400, "/images/busybox/push?tag=%20": 400, "/images/none/push": 404, "/images/busybox/push?platform=linux": 400,
		"/images/busybox@sha256:" + strings.Repeat("a", 64) + "/push": 400,
	} {
		if status, body := request(t, s, "POST", path, ""); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	f.moved.late = model.Errorf(model.KindForbidden, "denied: no access")
	status, body := request(t, s, "POST", "/images/busybox/push?tag=v1", "")
	if status != 200 || !strings.HasSuffix(body, `{"errorDetail":{"message":"denied: no access"},"error":"denied: no access"}`+"\r\n") {
		t.Errorf("a push that is refused late: %d %s", status, body)
	}
}

// TestCredentialsThatAreNone: each route that takes credentials refuses what
// is none, and does not repeat it.
func TestCredentialsThatAreNone(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	for _, r := range [][2]string{
		{"POST", "/images/busybox/push"}, {"POST", "/images/create?fromImage=x&tag=y"}, {"GET", "/distribution/busybox/json"}, {"GET", "/images/search?term=x"},
	} {
		for _, header := range []string{"!!!s3cret", base64.URLEncoding.EncodeToString([]byte(`s3cret`)), base64.URLEncoding.EncodeToString([]byte(`{"password":"s3cret"}{}`))} {
			status, body := request(t, s, r[0], r[1], "", "X-Registry-Auth", header)
			if status != 400 || !strings.Contains(body, "X-Registry-Auth") || strings.Contains(body, "s3cret") {
				t.Errorf("%s %s: %d %s", r[0], r[1], status, body)
			}
		}
	}
}

func TestPullOfAllTags(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.moved.tags = []string{"1", "latest"}
	f.pull = func(progress func(wire.PullProgress)) (PullResult, error) {
		if strings.HasSuffix(f.pulled.Ref, ":gone") {
			return PullResult{}, model.Errorf(model.KindNotFound, "manifest unknown")
		}
		progress(wire.PullProgress{Layer: "0123456789ab", Status: "Pulling fs layer"})
		return PullResult{Digest: "sha256:1", New: strings.HasSuffix(f.pulled.Ref, ":1")}, nil
	}
	s := f.serve(t)
	_, body := request(t, s, "POST", "/images/create?fromImage=busybox", "")
	want := `{"status":"Pulling from library/busybox","id":"1"}
{"status":"Pulling fs layer","progressDetail":{},"id":"0123456789ab"}
{"status":"Digest: sha256:1"}
{"status":"Pulling from library/busybox","id":"latest"}
{"status":"Pulling fs layer","progressDetail":{},"id":"0123456789ab"}
{"status":"Digest: sha256:1"}
{"status":"Status: Downloaded newer image for busybox"}
`
	if diff := cmp.Diff(want, strings.ReplaceAll(body, "\r", "")); diff != "" {
		t.Error(diff)
	}
	f.moved.tags = []string{"1", "gone"}
	if _, body := request(t, s, "POST", "/images/create?fromImage=busybox", ""); !strings.HasSuffix(body, `"error":"manifest unknown"}`+"\r\n") {
		t.Errorf("a tag that cannot be pulled: %s", body)
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	f.images[0].Names = append(f.images[0].Names, model.ImageName{Ref: "docker.io/a/b:v1"})
	for path, want := range map[string][]string{
		"/images/busybox/get": {"busybox"}, "/images/a/b:v1/get": {"a/b:v1"}, "/images/get?names=busybox&names=a/b:v1": {"busybox", "a/b:v1"},
		"/images/get?names=busybox&platform=%7B%22os%22:%22linux%22,%22architecture%22:%22amd64%22%7D": {"busybox"},
		"/v1.47/images/get?names=busybox&platform=x":                                                   {"busybox"},
	} {
		status, body := request(t, s, "GET", path, "")
		if diff := cmp.Diff(want, f.moved.saved); diff != "" || status != 200 || body != "a tar archive" {
			t.Errorf("%s: %d %s\n%s", path, status, body, diff)
		}
	}
	for path, want := range map[string]int{
		"/images/get": 400, "/images/none/get": 404, "/images/get?names=busybox&platform=x": 400,
		"/images/get?names=busybox&platform=%7B%22os%22:%22linux%22,%22architecture%22:%22arm64%22%7D":                                              404,
		"/images/busybox/get?platform=%7B%22os%22:%22a%22,%22architecture%22:%22b%22%7D&platform=%7B%22os%22:%22a%22,%22architecture%22:%22c%22%7D": 501,
		"/images/busybox/history?platform=%7B%22os%22:%22linux%22,%22architecture%22:%22arm64%22%7D":                                                404,
		"/images/busybox/json?platform=%7B%22os%22:%22linux%22,%22architecture%22:%22amd64%22%7D":                                                   200,
	} {
		if status, body := request(t, s, "GET", path, ""); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := "sha256:" + strings.Repeat("2", 64)
	quiet := `{"stream":"Loaded image: busybox:latest\n"}
{"stream":"Loaded image: mine:v1\n"}
{"stream":"Loaded image ID: ` + id + `\n"}
`
	loud := `{"status":"Loading layer","progressDetail":{"current":1,"total":2},"progress":"[=========================\u003e                        ]  1B/2B","id":"0123456789ab"}
` + quiet
	large := strings.Repeat("an archive ", 1<<18) // more than a server reads of a body that nobody wants
	for path, want := range map[string]string{
		"/images/load": quiet, "/images/load?quiet=1": quiet, "/images/load?quiet=0": loud, "/v1.22/images/load?quiet=0": quiet,
	} {
		status, body := request(t, s, "POST", path, large)
		if diff := cmp.Diff(want, strings.ReplaceAll(body, "\r", "")); diff != "" || status != 200 || f.moved.body != large {
			t.Errorf("%s: %d %s (%d bytes came)", path, status, diff, len(f.moved.body))
		}
	}
	request(t, s, "POST", "/images/load?platform=%7B%22os%22:%22linux%22,%22architecture%22:%22arm64%22%7D", "x")
	if f.moved.loaded.Platform != "linux/arm64" {
		t.Errorf("loaded %+v", f.moved.loaded)
	}
	f.moved.late = model.Errorf(model.KindInvalid, "no manifest.json in the archive")
	if status, body := request(t, s, "POST", "/images/load", "x"); status != 400 {
		t.Errorf("an error before the first line: %d %s", status, body)
	}
	if status, body := request(t, s, "POST", "/images/load?quiet=0", "x"); status != 200 || !strings.Contains(body, `"error":"no manifest.json`) {
		t.Errorf("an error after it: %d %s", status, body)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	status, body := request(t, s, "POST", "/images/create?fromSrc=-&repo=me/root&tag=v1&message=mine&changes=ENV+A%3Db&changes=CMD+x&platform=linux/arm64", "a tar")
	want := ImportRequest{Name: "docker.io/me/root:v1", Message: "mine", Platform: "linux/arm64", Changes: []string{"ENV A=b", "CMD x"}}
	if diff := cmp.Diff(want, f.moved.imported); diff != "" || status != 200 || body != `{"status":"`+f.images[0].ID+`"}`+"\r\n" || f.moved.body != "a tar" {
		t.Errorf("%d %s\n%s", status, body, diff)
	}
	for query, want := range map[string]int{
		"fromSrc=-&repo=UP": 400, "fromSrc=-&tag=x": 400, "fromSrc=-&fromImage=x": 400, "fromSrc=https://x/y.tar": 501, "fromSrc=-&repo=a@sha256:" + strings.Repeat("a", 64): 400,
	} {
		if status, body := request(t, s, "POST", "/images/create?"+query, "x"); status != want {
			t.Errorf("%s: %d %s, want %d", query, status, body, want)
		}
	}
}

func TestArchivesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	f := newFake()
	handler := f.handler()
	handler.(*server).maxUpload = 10
	for path, code := range map[string]int{"/images/load": 413, "/images/create?fromSrc=-": 413} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader("eleven bytes")))
		if w.Code != code || !strings.Contains(w.Body.String(), "at most 10 bytes") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestSearchAndDistribution(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	for query, want := range map[string]int{
		"": 2, "&limit=5": 2, "&filters=%7B%22stars%22:%5B%222%22%5D%7D": 1, "&filters=%7B%22is-official%22:%5B%22false%22%5D%7D": 1, "&filters=%7B%22is-automated%22:%5B%22true%22%5D%7D": 0,
	} {
		status, body := request(t, s, "GET", "/images/search?term=busybox"+query, "")
		if status != 200 || strings.Count(body, `"name"`) != want || strings.Contains(body, `"is_automated":true`) {
			t.Errorf("search%s: %d %s", query, status, body)
		}
	}
	for path, want := range map[string]int{
		"/images/search": 400, "/images/search?term=x&limit=101": 400, "/images/search?term=x&limit=-1": 400, "/v1.21/images/search?term=x&limit=101": 200,
		"/images/search?term=x&filters=%7B%22stars%22:%5B%22x%22%5D%7D": 400, "/images/search?term=x&filters=%7B%22odd%22:%5B%22x%22%5D%7D": 400,
		"/distribution/UP/json": 400, "/distribution/reg.example:5000/a/b:v1/json": 200, "/v1.29/distribution/busybox/json": 404,
	} {
		if status, body := request(t, s, "GET", path, ""); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	if f.moved.resolved != "reg.example:5000/a/b:v1" {
		t.Errorf("resolved %q", f.moved.resolved)
	}
	if _, body := request(t, s, "POST", "/auth", `{"username":"u","password":"right","serveraddress":"tokens.example"}`); body != `{"IdentityToken":"keep this","Status":"Login Succeeded"}` {
		t.Errorf("login: %s", body)
	}
}
