package dockerapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

// oldForm is something that older clients do in another way than the newest,
// with a request that shows it.
type oldForm struct {
	says    string // to the readers of the reference
	newest  compat.Version
	request goldenRequest
	status  int
	answer  string // a part of it
}

var oldForms = []oldForm{
	{
		"Errors are a line of text before 1.24, and JSON from then on.",
		compat.V(23), goldenRequest{method: "GET", path: "/containers/none/json"}, http.StatusNotFound, "No such container: none\n",
	},
	{
		"Bodies are taken for JSON before 1.22, whatever their `Content-Type` says.",
		compat.V(21), goldenRequest{method: "POST", path: "/containers/web/exec", body: `{"Cmd":["true"]}`, contentType: "text/plain"}, http.StatusCreated, `"Id"`,
	},
	{
		"`POST /containers/{id}/start` takes a HostConfig before 1.24. Members that say what the container has already do nothing, limits and the restart policy are updated, and the others are refused by name: give them when the container is created.",
		compat.V(23), goldenRequest{method: "POST", path: "/containers/job/start", body: `{"Binds":["/a:/b"]}`}, http.StatusBadRequest, "HostConfig.Binds",
	},
	{
		"`GET /containers/json` takes `before` and `since` as parameters before 1.25; they are filters.",
		compat.V(24), goldenRequest{method: "GET", path: "/containers/json?all=1&before=nap"}, http.StatusOK, `"/job"`,
	},
	{
		"`GET /images/json` takes `filter=NAME` before 1.41; it is the filter `reference`.",
		compat.V(40), goldenRequest{method: "GET", path: "/images/json?filter=nothing"}, http.StatusOK, "[]",
	},
	{
		"A command may be one string instead of a list before 1.52.",
		compat.V(51), goldenRequest{method: "POST", path: "/containers/create", body: `{"Image":"busybox","Cmd":"true"}`}, http.StatusCreated, `"Id"`,
	},
	{
		"`NetworkSettings` repeats the addresses of the first network before 1.52.",
		compat.V(51), goldenRequest{method: "GET", path: "/containers/web/json"}, http.StatusOK, `"IPPrefixLen":16,"IPv6Gateway":"","LinkLocalIPv6Address"`,
	},
	{
		"`GET /system/df` lists images and containers without being asked to before 1.53.",
		compat.V(52), goldenRequest{method: "GET", path: "/system/df"}, http.StatusOK, `"LayersSize":4200000`,
	},
	{
		"Booleans may be written as Python does: `v=False&force=None`.",
		compat.Newest, goldenRequest{method: "DELETE", path: "/containers/web?v=False&force=None"}, http.StatusConflict, "running",
	},
	{
		"Paths without a version are those of the newest.",
		compat.Newest, goldenRequest{method: "GET", path: "/containers/web/json", unversioned: true}, http.StatusOK, `"Id"`,
	},
}

// oldFormLines is the list of old forms, each of which is shown to be true.
func oldFormLines(t *testing.T) []string {
	t.Helper()
	var lines []string
	for _, f := range oldForms {
		w := f.request.send(t, newGoldenHandler(t), f.newest)
		if w.Code != f.status || !strings.Contains(w.Body.String(), f.answer) {
			t.Errorf("%s: %d %s", f.says, w.Code, w.Body)
		}
		lines = append(lines, "- "+f.says)
	}
	return lines
}
