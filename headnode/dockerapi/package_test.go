package dockerapi

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/model"
)

// R4 of what Triton's users know: a container's package shows as a label, and
// containers are found by it under both of its names.
func TestPackageShowsAsALabel(t *testing.T) {
	t.Parallel()
	f := crowd(3)
	f.containers[1].Package = "g4-1g"
	s := f.serve(t)
	get := func(path string, into any) {
		t.Helper()
		status, body := request(t, s, "GET", path, "")
		if status != 200 {
			t.Fatalf("%s: %d %s", path, status, body)
		}
		if err := json.Unmarshal([]byte(body), into); err != nil {
			t.Fatal(err)
		}
	}
	for _, label := range []string{model.LabelPackage, model.LabelPackageTriton} {
		var found []container.Summary
		get("/v1.48/containers/json?all=1&filters="+url.QueryEscape(`{"label":["`+label+`=g4-1g"]}`), &found)
		if len(found) != 1 || found[0].ID != f.containers[1].ID || found[0].Labels[model.LabelPackageTriton] != "g4-1g" {
			t.Errorf("by %s: %+v", label, found)
		}
	}
	show := func(want string) {
		t.Helper()
		var inspected container.InspectResponse
		get("/v1.48/containers/"+f.containers[1].ID+"/json", &inspected)
		if inspected.Config.Labels[model.LabelPackageTriton] != want || inspected.Config.Labels["tier"] != "front" {
			t.Errorf("labels %v, want package %s", inspected.Config.Labels, want)
		}
	}
	show("g4-1g")
	changed := *f.containers[1]
	changed.Package = "g4-2g" // as after an update
	f.containers[1] = &changed
	show("g4-2g")
}
