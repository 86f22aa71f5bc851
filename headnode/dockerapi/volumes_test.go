package dockerapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"github.com/spearheadcloud/spearhead/model"
)

func TestVolumesAreMade(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	for body, want := range map[string]volume.Volume{
		`{"Name":"data","Labels":{"a":"b"}}`:                                                 {Name: "data", Labels: map[string]string{"a": "b"}},
		`{"Name":"sized","Driver":"tritonnfs","DriverOpts":{"size":"10G","shared":"false"}}`: {Name: "sized", Options: map[string]string{"size": "10G", "shared": "false"}},
		`{}`: {Name: strings.Repeat("77", 32), Labels: map[string]string{model.LabelAnonymous: ""}},
		`{"Name":"again","Driver":"local","DriverOpts":null,"Labels":null}`: {Name: "again"},
	} {
		code, answer := request(t, s, "POST", "/volumes/create", body)
		var got volume.Volume
		if err := json.Unmarshal([]byte(answer), &got); err != nil || code != http.StatusCreated {
			t.Errorf("%s: %d %s", body, code, answer)
			continue
		}
		want.Driver, want.Scope, want.Mountpoint, want.CreatedAt = "local", "local", "/volumes/"+want.Name, "2026-05-06T12:00:00Z"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", body, diff)
		}
	}
	if i := slices.IndexFunc(f.volumes, func(v Volume) bool { return v.Name == "sized" }); i < 0 || f.volumes[i].Size != 10<<30 {
		t.Errorf("volumes are %+v", f.volumes)
	}
	for body, want := range map[string]string{
		`{"Name":"a"}`:      "volume name is too short",
		`{"Name":"no/way"}`: "includes invalid characters for a local volume name",
		`{"Name":"` + strings.Repeat("x", 256) + `"}`:             "too long: it has 255 characters at most",
		`{"Name":"data2","Driver":"nfs"}`:                         `error looking up volume plugin nfs`,
		`{"Name":"data2","DriverOpts":{"size":""}}`:               "invalid size: ''",
		`{"Name":"data2","DriverOpts":{"size":"0"}}`:              "at least 1MiB",
		`{"Name":"data2","DriverOpts":{"size":"8e18"}}`:           "at most 1EiB",
		`{"Name":"data2","DriverOpts":{"size":"1e20"}}`:           "at most 1EiB",
		`{"Name":"data2","DriverOpts":{"size":"10X"}}`:            "invalid size: '10X'",
		`{"Name":"data2","DriverOpts":{"size":"-5G"}}`:            "invalid size: '-5G'",
		`{"Name":"data2","DriverOpts":{"type":"tmpfs","o":"x"}}`:  `invalid option: \"o\"`,
		`{"Name":"data2","DriverOpts":{"device":"/etc"}}`:         `invalid option: \"device\"`,
		`{"Name":"data2","DriverOpts":{"shared":"true"}}`:         `invalid option: \"shared\"`,
		`{"Name":"data2","ClusterVolumeSpec":{"Group":"g"}}`:      "ClusterVolumeSpec",
		`{"Name":"data2","DriverOpts":{"size":"9999999999999G"}}`: "at most 1EiB",
		`{"Name":7}`: "Name",
	} {
		if code, answer := request(t, s, "POST", "/volumes/create", body); code < 400 || code == 500 || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s", body, code, answer)
		}
	}
}

func TestVolumesAreFoundAndRemoved(t *testing.T) {
	t.Parallel()
	f := newFake()
	for name, containers := range map[string]int{"web-data": 2, "db-data": 0, "away1": 1, "cafe": 0} {
		v := Volume{Volume: model.Volume{ID: name, Name: name, Driver: "local", Created: goldenNow}, Containers: containers}
		if name == "cafe" {
			v.Labels = map[string]string{model.LabelAnonymous: "", "x": "y"}
		}
		f.volumes = append(f.volumes, v)
	}
	s := f.serve(t)
	names := func(filters string) string {
		t.Helper()
		_, body := request(t, s, "GET", "/volumes?filters="+filters, "")
		var list volume.ListResponse
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		got := map[string]bool{}
		for _, v := range list.Volumes {
			got[v.Name] = true
		}
		return strings.Join(slices.Sorted(maps.Keys(got)), " ")
	}
	for filters, want := range map[string]string{
		``:                                "away1 cafe db-data web-data",
		`{"dangling":["true"]}`:           "cafe db-data",
		`{"dangling":["0"]}`:              "away1 web-data",
		`{"name":["data"]}`:               "db-data web-data",
		`{"name":["%5Edb"]}`:              "db-data",
		`{"label":["x=y"]}`:               "cafe",
		`{"label":["x=z"]}`:               "",
		`{"driver":["local"]}`:            "away1 cafe db-data web-data",
		`{"driver":["nfs"],"name":["d"]}`: "",
	} {
		if got := names(filters); got != want {
			t.Errorf("filters %s give %q, not %q", filters, got, want)
		}
	}
	for _, bad := range []string{`{"dangling":["x"]}`, `{"name":["("]}`, `{"until":["1h"]}`} {
		if code, body := request(t, s, "GET", "/volumes?filters="+bad, ""); code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, code, body)
		}
	}
	var one volume.Volume
	if _, body := request(t, s, "GET", "/volumes/web-data", ""); json.Unmarshal([]byte(body), &one) != nil || one.UsageData == nil || *one.UsageData != (volume.UsageData{RefCount: 2, Size: 8000}) {
		t.Errorf("inspection is %s", body)
	}
	if _, body := request(t, s, "GET", "/volumes/away1", ""); !strings.Contains(body, `"Size":-1`) {
		t.Errorf("a volume whose node is away: %s", body)
	}
	var usage system.DiskUsage
	if _, body := request(t, s, "GET", "/system/df?type=volume&verbose=1", ""); json.Unmarshal([]byte(body), &usage) != nil ||
		usage.VolumeUsage.TotalCount != 4 || usage.VolumeUsage.ActiveCount != 2 || usage.VolumeUsage.TotalSize != 19000 || usage.VolumeUsage.Reclaimable != 11000 {
		t.Errorf("disk usage is %s", body)
	}
	for _, step := range []struct {
		method, path string
		code         int
	}{
		{"DELETE", "/volumes/web-data", 409}, {"DELETE", "/volumes/web-data?force=1", 409}, {"DELETE", "/volumes/none", 404},
		{"DELETE", "/volumes/none?force=1", 204}, {"PUT", "/volumes/web-data?version=1", 503}, {"GET", "/volumes/none", 404},
	} {
		if code, body := request(t, s, step.method, step.path, ""); code != step.code {
			t.Errorf("%s %s: %d %s", step.method, step.path, code, body)
		}
	}
	if code, body := request(t, s, "POST", "/volumes/prune", ""); code != 200 || !strings.Contains(body, `["cafe"]`) {
		t.Errorf("prune: %d %s", code, body)
	}
	if code, body := request(t, s, "POST", "/v1.41/volumes/prune", ""); code != 200 || !strings.Contains(body, `["db-data"]`) {
		t.Errorf("prune of an older client: %d %s", code, body)
	}
}

// What the use cases have decided of volumes is what clients are told.
func TestMountsAreShown(t *testing.T) {
	t.Parallel()
	c := &model.Container{Spec: model.ContainerSpec{Mounts: []model.Mount{
		{Type: "volume", Source: "data", VolumeID: "1", Target: "/d", ReadOnly: true},
		{Type: "volume", Source: "data", VolumeID: "1", Target: "/e", Subpath: "a/b"},
		{Type: "volume", Source: strings.Repeat("7", 64), VolumeID: "2", Target: "/own", Anonymous: true},
		{Type: "tmpfs", Target: "/t"},
	}}}
	want := []container.MountPoint{
		{Type: "volume", Name: "data", Source: "/volumes/data", Destination: "/d", Driver: "local", Mode: "ro"},
		{Type: "volume", Name: "data", Source: "/volumes/data/a/b", Destination: "/e", Driver: "local", Mode: "z", RW: true},
		{Type: "volume", Name: strings.Repeat("7", 64), Source: "/volumes/" + strings.Repeat("7", 64), Destination: "/own", Driver: "local", RW: true},
		{Type: "tmpfs", Destination: "/t", RW: true},
	}
	if diff := cmp.Diff(want, mountPoints(c)); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	if got := config(c, nil).Volumes; len(got) != 1 || got["/own"] != struct{}{} {
		t.Errorf("own volumes are %v", got)
	}
}

func TestMountsOfVolumes(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	code, answer := request(t, s, "POST", "/containers/create", `{"Image":"busybox","Volumes":{"/plain":{},"/named":{}},"HostConfig":{
		"Binds":["data:/named:ro,nocopy","/alone"],"Tmpfs":{"/run":""},"Mounts":[
		{"Type":"volume","Source":"more","Target":"/more","VolumeOptions":{"Subpath":"a/b","Labels":{"x":"y"},"DriverConfig":{"Name":"local","Options":{"size":"1g"}}}},
		{"Type":"volume","Target":"/drawn"}]}}`)
	if code != http.StatusCreated {
		t.Fatalf("%d %s", code, answer)
	}
	made := f.created[0]
	want := []model.Mount{
		{Type: "volume", Source: "data", Target: "/named", ReadOnly: true, NoCopy: true},
		{Type: "volume", Target: "/alone"},
		{Type: "volume", Source: "more", Target: "/more", Subpath: "a/b"},
		{Type: "volume", Target: "/drawn"},
		{Type: "volume", Target: "/plain"},
	}
	if diff := cmp.Diff(want, made.Spec.Mounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	volumes := []model.Volume{
		{Name: "data", Driver: "local"},
		{Name: "more", Driver: "local", Size: 1 << 30, Labels: map[string]string{"x": "y"}, Options: map[string]string{"size": "1g"}},
	}
	if diff := cmp.Diff(volumes, made.Volumes); diff != "" || len(made.Unsupported) > 0 {
		t.Errorf("volumes (-want +got):\n%s%v", diff, made.Unsupported)
	}
	for body, want := range map[string]string{
		`"HostConfig":{"Binds":["data:/d:zz"]}`:                                                     "invalid mode: zz",
		`"HostConfig":{"Binds":["data:/d:ro,rw"]}`:                                                  "invalid mode: ro,rw",
		`"HostConfig":{"Binds":["data:/d:ro,nocopy,nocopy"]}`:                                       "invalid mode: ro,nocopy,nocopy",
		`"HostConfig":{"Binds":["/srv:/d:rw,rw"]}`:                                                  "invalid mode: rw,rw",
		`"HostConfig":{"Binds":["data:/d:"]}`:                                                       "invalid mode: ",
		`"HostConfig":{"Binds":["data:/d:rshared"]}`:                                                "invalid mode: rshared",
		`"HostConfig":{"Binds":["data:rel"]}`:                                                       "mount path must be absolute",
		`"HostConfig":{"Binds":["data:/"]}`:                                                         "destination can't be '/'",
		`"HostConfig":{"Binds":["x:/d"]}`:                                                           "volume name is too short",
		`"HostConfig":{"Binds":["a:/d","b:/d"]}`:                                                    "too short",
		`"HostConfig":{"Binds":["aa:/d","bb:/d"]}`:                                                  "Duplicate mount point: /d",
		`"Volumes":{"rel":{}}`:                                                                      "mount path must be absolute",
		`"Volumes":{"/":{}}`:                                                                        "destination can't be '/'",
		`"HostConfig":{"Mounts":[{"Type":"volume","Target":"/d","ReadOnly":true}]}`:                 "must not set ReadOnly mode when using anonymous volumes",
		`"HostConfig":{"Mounts":[{"Type":"volume","Target":"/d","VolumeOptions":{"Subpath":"a"}}]}`: "must not set Subpath when using anonymous volumes",
		`"HostConfig":{"Mounts":[{"Type":"volume","Source":"vv","Target":"/d","VolumeOptions":{"Subpath":"../a"}}]}`:              "subpath must be a relative path within the volume",
		`"HostConfig":{"Mounts":[{"Type":"volume","Source":"vv","Target":"/d","VolumeOptions":{"Subpath":"/a"}}]}`:                "subpath must be a relative path within the volume",
		`"HostConfig":{"Mounts":[{"Type":"volume","Source":"vv","Target":"/d","VolumeOptions":{"DriverConfig":{"Name":"nfs"}}}]}`: "volume plugin nfs",
	} {
		if code, answer := request(t, s, "POST", "/containers/create", `{"Image":"busybox",`+body+`}`); code != http.StatusBadRequest || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s", body, code, answer)
		}
	}
}
