package dockerapi

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

func TestUpdateChangesWhatIsNamed(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox","HostConfig":{"Memory":16777216,"CpuShares":5,"NanoCpus":1000000000,
		"BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":9}],"Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}]}}`)
	for _, step := range []struct {
		body   string
		status int
		says   string
	}{
		{`{}`, 200, `{"Warnings":[]}`},
		{`{"Memory":33554432,"MemorySwap":67108864,"PidsLimit":40,"RestartPolicy":{"Name":"always"}}`, 200, `{"Warnings":[]}`},
		{`{"Memory":134217728}`, 400, "update the memoryswap at the same time"},
		{`{"MemoryReservation":67108864}`, 400, "memory reservation limit"},
		{`{"NanoCpus":2000000000,"BlkioDeviceReadBps":[]}`, 200, ""},
		{`{"CpuQuota":50000}`, 400, "CPU Quota cannot be updated as NanoCPUs has already been set"},
		{`{"CpuPeriod":50000}`, 400, "CPU Period cannot be updated as NanoCPUs has already been set"},
		{`{"Memory":5}`, 400, "6MB"},
		{`{"Memory":"big"}`, 400, "Memory"},
		{`{"RestartPolicy":{"Name":"sometimes"}}`, 400, "unknown policy"},
		{`{"Ulimits":[{"Name":"nofile","Soft":1,"Hard":1}]}`, 400, "cannot update Ulimits"},
		{`{"Devices":[{"PathOnHost":"/dev/null"}]}`, 400, "cannot update Devices"},
		{`{"OomKillDisable":true}`, 400, "cannot update OomKillDisable"},
		{`{"CpuPercent":5}`, 501, "CpuPercent"},
		{`{"Resources":{"Memory":5}}`, 501, "Resources"},
		{`{"Binds":["/:/host"]}`, 501, "Binds"},
		{``, 400, "ends too early"},
	} {
		status, answer := request(t, s, "POST", "/containers/"+id+"/update", step.body, "Content-Type", "application/json")
		if status != step.status || !strings.Contains(answer, step.says) {
			t.Errorf("%s: %d %s, want %d with %q", step.body, status, answer, step.status, step.says)
		}
	}
	want := model.Limits{
		Memory: 32 << 20, MemorySwap: 64 << 20, CPUShares: 5, NanoCPUs: 2_000_000_000, CPUPeriod: 100_000, CPUQuota: 200_000, Pids: 40,
		Ulimits: []model.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}},
	}
	if diff := cmp.Diff(want, f.containers[0].Spec.Limits); diff != "" {
		t.Error(diff)
	}
	_, answer := request(t, s, "GET", "/containers/"+id+"/json", "")
	for _, part := range []string{`"NanoCpus":2000000000`, `"CpuQuota":0`, `"Memory":33554432`, `"RestartPolicy":{"Name":"always","MaximumRetryCount":0}`, `"PidsLimit":40`} {
		if !strings.Contains(answer, part) {
			t.Errorf("inspect after an update lacks %s: %s", part, answer)
		}
	}
	if status, _ := request(t, s, "POST", "/v1.21/containers/"+id+"/update", `{}`); status != 404 {
		t.Errorf("1.21 had no update: %d", status)
	}
	if status, _ := request(t, s, "POST", "/containers/none/update", `{}`); status != 404 {
		t.Errorf("update of what is not there: %d", status)
	}
	gone := made(t, s, `{"Image":"busybox","HostConfig":{"AutoRemove":true}}`)
	if status, answer := request(t, s, "POST", "/containers/"+gone+"/update", `{"RestartPolicy":{"Name":"always"}}`); status != 400 || !strings.Contains(answer, "AutoRemove") {
		t.Errorf("a restart policy for a container that removes itself: %d %s", status, answer)
	}
}

func TestPrunes(t *testing.T) {
	t.Parallel()
	f := crowd(9)
	s := f.serve(t)
	prune := func(path, filters string) (int, string) {
		return request(t, s, "POST", path+"?filters="+url.QueryEscape(filters), "")
	}
	if status, body := prune("/containers/prune", `{"label":["i=2"]}`); status != 200 || !strings.Contains(body, `"SpaceReclaimed":1000`) {
		t.Errorf("prune by label: %d %s", status, body)
	}
	if status, body := prune("/containers/prune", `{"label!":["i=5"],"until":["2000-01-01"]}`); status != 200 || body != `{"ContainersDeleted":null,"SpaceReclaimed":0}` {
		t.Errorf("prune of the last century: %d %s", status, body)
	}
	if status, body := prune("/containers/prune", `{"label!":{"i=5":true}}`); status != 200 || !strings.Contains(body, `"SpaceReclaimed":1000`) {
		t.Errorf("prune without a label: %d %s", status, body)
	}
	for _, c := range []struct{ path, filters, want string }{
		{"/images/prune", `{}`, `{"ImagesDeleted":null,"SpaceReclaimed":0}`},
		{"/images/prune", `{"dangling":["true"]}`, `{"ImagesDeleted":null,"SpaceReclaimed":0}`},
		{"/images/prune", `{"dangling":["false"],"label!":["made=here"]}`, `{"ImagesDeleted":null,"SpaceReclaimed":0}`},
		{"/images/prune", `{"dangling":["false"],"until":["1h"]}`, `{"ImagesDeleted":[{"Untagged":"busybox:latest"},{"Deleted":"` + f.images[0].ID + `"}],"SpaceReclaimed":4200000}`},
		{"/networks/prune", `{"until":["10m"]}`, `{"NetworksDeleted":null}`},
		{"/volumes/prune", `{"all":["1"]}`, `{"VolumesDeleted":[],"SpaceReclaimed":0}`},
		{"/build/prune", `{}`, `{"CachesDeleted":null,"SpaceReclaimed":0}`},
		{"/build/prune", `{"label":["i=5"]}`, `{"CachesDeleted":null,"SpaceReclaimed":0}`},
	} {
		if status, body := prune(c.path, c.filters); status != 200 || body != c.want {
			t.Errorf("%s %s: %d %s, want %s", c.path, c.filters, status, body, c.want)
		}
	}
	for path, filters := range map[string]string{
		"/containers/prune": `{"until":["whenever"]}`, "/images/prune": `{"dangling":["perhaps"]}`, "/networks/prune": `{"status":["x"]}`,
		"/volumes/prune": `{"until":["1h"]}`, "/build/prune": `{"colour":["x"]}`,
	} {
		if status, body := prune(path, filters); status != 400 {
			t.Errorf("%s %s: %d %s", path, filters, status, body)
		}
		if status, _ := request(t, s, "POST", "/v1.24"+path, ""); status != 404 {
			t.Errorf("1.24 had no %s: %d", path, status)
		}
	}
	if status, _ := prune("/containers/prune", `{"until":["1h","2h"]}`); status != 400 {
		t.Errorf("two ends: %d", status)
	}
}

func TestPastTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"10m": now.Add(-10 * time.Minute), "1h30m": now.Add(-90 * time.Minute), "1700000000": time.Unix(1_700_000_000, 0),
		"1700000000.5": time.Unix(1_700_000_000, 500_000_000), "2026-01-02": time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		"2026-01-02T03:04:05": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "2026-01-02T03:04:05+01:00": time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC),
	} {
		if got, err := pastTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "soon", "1.2.3", "2026-13-01"} {
		if got, err := pastTime(bad, now); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%q: %v %v", bad, got, err)
		}
	}
}

func TestHealthIsShown(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","60"],"Healthcheck":{"Test":["CMD","true"],"Retries":2}}`)
	request(t, s, "POST", "/containers/"+id+"/start", "")
	for _, c := range []struct {
		status model.HealthStatus
		text   string
	}{{model.HealthStarting, "(health: starting)"}, {model.HealthHealthy, "(healthy)"}, {model.HealthUnhealthy, "(unhealthy)"}} {
		f.mu.Lock()
		f.containers[0].State.Health = &model.Health{Status: c.status, FailingStreak: 1}
		f.changedNow()
		f.mu.Unlock()
		filters := "?filters=" + url.QueryEscape(`{"health":["`+string(c.status)+`"]}`)
		if _, body := request(t, s, "GET", "/containers/json"+filters, ""); !strings.Contains(body, c.text) || !strings.Contains(body, `"Health":{"Status":"`+string(c.status)+`","FailingStreak":1}`) {
			t.Errorf("list: %s", body)
		}
		_, body := request(t, s, "GET", "/containers/"+id+"/json", "")
		var inspected struct {
			State  struct{ Health model.Health }
			Config struct{ Healthcheck model.Healthcheck }
		}
		if err := json.Unmarshal([]byte(body), &inspected); err != nil {
			t.Fatal(err)
		}
		if h := inspected.State.Health; h.Status != c.status || len(h.Log) != 1 || h.Log[0].Output != "all is well" {
			t.Errorf("inspect: %+v", h)
		}
		if got := inspected.Config.Healthcheck; got.Retries != 2 || !cmp.Equal(got.Test, []string{"CMD", "true"}) {
			t.Errorf("inspect: %+v", got)
		}
	}
	if status, _ := request(t, s, "GET", "/containers/json?filters="+url.QueryEscape(`{"health":["fine"]}`), ""); status != 400 {
		t.Errorf("a health that is none: %d", status)
	}
}

func TestSizesAreMeasuredWhenAskedFor(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	for _, path := range []string{"/containers/json?all=1", "/containers/" + id + "/json?"} {
		if _, body := request(t, s, "GET", path, ""); strings.Contains(body, "SizeRw") || f.sampled != 0 {
			t.Errorf("%s: sizes unasked: %s", path, body)
		}
	}
	for _, path := range []string{"/containers/json?all=1&size=1", "/containers/" + id + "/json?size=true"} {
		if _, body := request(t, s, "GET", path, ""); !strings.Contains(body, `"SizeRw":1000,"SizeRootFs":4201000`) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestLinksOfOtherContainersAreShown(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox","HostConfig":{"Links":["db:database"]}}`)
	f.containers[0].Spec.Links = []model.Link{{Name: "db", Alias: "database"}}
	f.containers[0].Name = "web"
	if _, body := request(t, s, "GET", "/containers/"+id+"/json", ""); !strings.Contains(body, `"Links":["/db:/web/database"]`) {
		t.Errorf("%s", body)
	}
	if status, body := request(t, s, "DELETE", "/containers/web/database?link=1", ""); status != 204 {
		t.Errorf("%d %s", status, body)
	}
	if _, body := request(t, s, "GET", "/containers/"+id+"/json", ""); !strings.Contains(body, `"Links":null`) {
		t.Errorf("after its removal: %s", body)
	}
}

func TestExecsAreShownWhileTheyLast(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	for _, c := range []struct {
		execs []string
		want  string
	}{{nil, `"ExecIDs":null`}, {[]string{"x1", "x2"}, `"ExecIDs":["x1","x2"]`}, {[]string{"x2"}, `"ExecIDs":["x2"]`}, {nil, `"ExecIDs":null`}} {
		f.mu.Lock()
		f.containers[0].Execs = c.execs
		f.mu.Unlock()
		if _, body := request(t, s, "GET", "/containers/"+id+"/json", ""); !strings.Contains(body, c.want) {
			t.Errorf("inspect lacks %s: %s", c.want, body)
		}
	}
}

func TestLogDriversAreThoseOfTheOperator(t *testing.T) {
	t.Parallel()
	f := newFake()
	handler := f.handler()
	handler.(*server).LogDrivers = []string{"json-file", "none"}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	made(t, s, `{"Image":"busybox"}`)
	made(t, s, `{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"none"}}}`)
	status, answer := request(t, s, "POST", "/containers/create", `{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"local"}}}`)
	if want := "no log driver named 'local' is registered: this data center has json-file, none"; status != 400 || !strings.Contains(answer, want) {
		t.Errorf("%d %s, want %q", status, answer, want)
	}
	if _, answer := request(t, s, "GET", "/info", ""); !strings.Contains(answer, `"Log":["json-file","none"]`) {
		t.Errorf("info: %s", answer)
	}
}
