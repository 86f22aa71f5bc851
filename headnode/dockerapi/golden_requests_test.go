package dockerapi

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/wire"
)

// widestCreate has each field that some versions do not know, or take in
// another way.
const widestCreate = `{"Image":"busybox","Cmd":["true"],"Tty":true,"Healthcheck":{"Test":["CMD","true"],"StartInterval":1000000000},
	"HostConfig":{"AutoRemove":true,"ConsoleSize":[24,80],"Annotations":{"a":"b"},"CgroupnsMode":"private","Umask":63,
	"Mounts":[{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"NonRecursive":true,"CreateMountpoint":true}},
	{"Type":"tmpfs","Target":"/t"}]},"NetworkingConfig":{"EndpointsConfig":{"external":{"MacAddress":"02:00:00:00:00:08","GwPriority":1}}}}`

const widestExec = `{"Cmd":["id"],"Tty":true,"Env":["A=b"],"WorkingDir":"/srv","ConsoleSize":[24,80],"Container":"web"}`

// TestGoldenRequests holds what the same requests mean when clients of each
// version send them.
func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	c := newCreator()
	checkGolden(t, "requests", func(v compat.Version) []section {
		made, text := c.create(v, widestCreate)
		if made == nil {
			t.Fatalf("create at %s: %s", v, text)
		}
		return []section{
			{title: "POST /containers/create", lines: saidLines(t, widestCreate, made)},
			{title: "POST /containers/web/exec", lines: saidLines(t, widestExec, execAsked(t, v))},
		}
	})
}

// execAsked is what an exec was decoded into.
func execAsked(t *testing.T, v compat.Version) *wire.ExecSpec {
	t.Helper()
	f := newFake()
	handler := f.handler()
	for _, r := range []struct{ path, body string }{
		{"/containers/create?name=web", `{"Image":"busybox"}`}, {"/containers/web/exec", widestExec},
	} {
		request := httptest.NewRequest("POST", "/v"+v.String()+r.path, strings.NewReader(r.body))
		request.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, request); w.Code != 201 {
			t.Fatalf("%s at %s: %d %s", r.path, v, w.Code, w.Body)
		}
	}
	for _, e := range f.execs {
		e.Spec.ID = ""
		return &e.Spec
	}
	return nil
}

// saidLines is a request and what it was decoded into, one line a value that
// says something.
func saidLines(t *testing.T, request string, decoded any) []string {
	t.Helper()
	body, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	prune(object)
	return flatten([]string{strings.ReplaceAll(request, "\n\t", " ")}, "", object)
}
