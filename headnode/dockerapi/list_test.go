package dockerapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

func TestStatusTexts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for want, c := range map[string]model.Container{
		"Created":                      {State: model.ContainerState{Status: model.StatusCreated}},
		"Up 3 minutes":                 {State: model.ContainerState{Status: model.StatusRunning, StartedAt: ago(3 * time.Minute)}},
		"Up Less than a second":        {State: model.ContainerState{Status: model.StatusRunning, StartedAt: now}},
		"Up 2 hours (Paused)":          {State: model.ContainerState{Status: model.StatusPaused, StartedAt: ago(2 * time.Hour)}},
		"Exited (137) 2 minutes ago":   {State: model.ContainerState{Status: model.StatusExited, ExitCode: 137, FinishedAt: ago(2 * time.Minute)}},
		"Restarting (1) 5 seconds ago": {State: model.ContainerState{Status: model.StatusRestarting, ExitCode: 1, FinishedAt: ago(5 * time.Second)}},
		"Removal In Progress":          {Phase: model.PhaseRemoving, State: model.ContainerState{Status: model.StatusExited}},
		"Dead":                         {State: model.ContainerState{Status: model.StatusDead}},
	} {
		if got := statusText(&c, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// crowd is a fake with n containers, every third of which has ended.
func crowd(n int) *fake {
	f := newFake()
	at := time.Now().Add(-time.Hour)
	for i := range n {
		c := &model.Container{
			ID: fmt.Sprintf("%064x", i+1), Name: fmt.Sprintf("box-%d", i), Created: at.Add(time.Duration(i) * time.Second), Phase: model.PhaseCreated,
			Spec: model.ContainerSpec{
				Image: "busybox", ImageID: f.images[0].ID, Cmd: []string{"sh", "-c", "sleep 60"}, Env: []string{"PATH=/bin"},
				Labels: map[string]string{"tier": "front", "i": fmt.Sprint(i)}, Ports: []model.Port{{Number: 80, Protocol: "tcp", Published: true}, {Number: 81, Protocol: "tcp"}},
			},
			State: model.ContainerState{Status: model.StatusRunning, StartedAt: at, Pid: i},
			NICs: []model.NIC{{NetworkID: fakeNetwork.ID, Interface: "eth0", MAC: "02:00:00:00:00:07", Primary: true,
				Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 88, byte(i >> 8), byte(i)}), 16), Gateway: netip.MustParseAddr("10.88.0.1")}},
		}
		if i%3 == 2 {
			c.State = model.ContainerState{Status: model.StatusExited, ExitCode: i % 5, StartedAt: at, FinishedAt: at}
		}
		f.containers = append([]*model.Container{c}, f.containers...)
	}
	return f
}

func names(t *testing.T, body string) []string {
	t.Helper()
	var list []struct{ Names []string }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	all := []string{}
	for _, c := range list {
		all = append(all, strings.TrimPrefix(c.Names[0], "/box-"))
	}
	return all
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	s := crowd(9).serve(t)
	for _, c := range []struct{ query, filters, want string }{
		{"", "", "7 6 4 3 1 0"},
		{"all=1", "", "8 7 6 5 4 3 2 1 0"},
		{"all=False", "", "7 6 4 3 1 0"},
		{"limit=2", "", "8 7"},
		{"limit=-1&all=0&size=0&trunc_cmd=0", "", "7 6 4 3 1 0"},
		{"", `{"status":["exited"]}`, "8 5 2"},
		{"", `{"exited":{"2":true}}`, "2"},
		{"", `{"name":["^/box-[12]$"]}`, "1"},
		{"", `{"name":["box-[12]$"],"status":["exited","running"]}`, "2 1"},
		{"", `{"id":["3$"]}`, ""},
		{"all=1", `{"id":["3$"]}`, "2"},
		{"", `{"label":{"tier":true,"i=4":true}}`, "4"},
		{"", `{"label":["tier=back"]}`, ""},
		{"", `{"before":["box-2"]}`, "1 0"},
		{"", `{"since":["box-6"]}`, "8 7"},
		{"", `{"ancestor":["busybox:latest"],"label":["i=1"]}`, "1"},
		{"", `{"ancestor":["111111111111"],"label":["i=1"]}`, "1"},
		{"", `{"ancestor":["redis"]}`, ""},
		{"", `{"network":["external"],"label":["i=1"]}`, "1"},
		{"", `{"network":["other"]}`, ""},
		{"", `{"publish":["80"],"label":["i=1"]}`, "1"},
		{"", `{"publish":["81"]}`, ""},
		{"", `{"expose":["80-90/tcp"],"label":["i=1"]}`, "1"},
		{"", `{"is-task":["false"],"label":["i=1"]}`, "1"},
		{"", `{"is-task":["true"]}`, ""},
		{"", `{"health":["none"],"label":["i=1"]}`, "1"},
	} {
		status, body := request(t, s, "GET", "/containers/json?"+c.query+"&filters="+url.QueryEscape(c.filters), "")
		if status != 200 {
			t.Errorf("%s %s: %d %s", c.query, c.filters, status, body)
			continue
		}
		if got := strings.Join(names(t, body), " "); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.query, c.filters, got, c.want)
		}
	}
	many := `{"name":["` + strings.Repeat(`x","`, 10_000) + `"]}`
	for filters, want := range map[string]int{
		`{"magic":["x"]}`: 400, `[]`: 400, `{"name":"x"}`: 400, `{"name":["("]}`: 400, `{"status":["tired"]}`: 400, `{"exited":["x"]}`: 400,
		`{"before":["nobody"]}`: 404, `{"is-task":["maybe"]}`: 400, `{"publish":["http"]}`: 400, many: 400,
		`{"name":["` + strings.Repeat("(a|b)*", 500) + `"]}`: 400,
	} {
		if status, body := request(t, s, "GET", "/containers/json?filters="+url.QueryEscape(filters), ""); status != want {
			t.Errorf("%.60s: %d %s, want %d", filters, status, body, want)
		}
	}
	if status, _ := request(t, s, "GET", "/containers/json?"+strings.Repeat("a=b&", 1000), ""); status != 400 {
		t.Errorf("a thousand parameters: %d", status)
	}
}

// TestListsAreNeverStale holds that a kept answer is not given after a change
// or a second later.
func TestListsAreNeverStale(t *testing.T) {
	t.Parallel()
	f := crowd(3)
	now := time.Now()
	handler := f.handler().(*server)
	handler.now = func() time.Time { return now }
	s := httptest.NewServer(handler)
	defer s.Close()
	_, first := request(t, s, "GET", "/containers/json?all=1", "")
	if _, again := request(t, s, "GET", "/containers/json?all=1", ""); again != first {
		t.Error("two lists at one moment differ")
	}
	if _, other := request(t, s, "GET", "/v1.20/containers/json?all=1", ""); other == first {
		t.Error("an older client got the newest form")
	}
	request(t, s, "POST", "/containers/box-0/rename?name=changed", "")
	if _, changed := request(t, s, "GET", "/containers/json?all=1", ""); !strings.Contains(changed, "/changed") {
		t.Error("a change does not show")
	}
	now = now.Add(2 * time.Hour)
	if _, later := request(t, s, "GET", "/containers/json?all=1", ""); !strings.Contains(later, "Up 3 hours") {
		t.Error("the time that has passed does not show")
	}
	_, running := request(t, s, "GET", "/containers/changed/json", "")
	f.ended(fmt.Sprintf("%064x", 1), 7)
	if _, ended := request(t, s, "GET", "/containers/changed/json", ""); ended == running || !strings.Contains(ended, `"ExitCode":7`) {
		t.Error("inspect does not show that the container has ended")
	}
}

func TestInspectIsTruthful(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["-c","x y"],"Entrypoint":["sh"],"AttachStdout":true,"HostConfig":{"Memory":16777216,"NanoCpus":500000000,
		"Binds":["/a:/b:ro"],"PortBindings":{"80/tcp":[{"HostPort":"80"}]},"CapAdd":["NET_ADMIN"],"MaskedPaths":[]}}`)
	request(t, s, "POST", "/containers/"+id+"/start", "")
	_, body := request(t, s, "GET", "/containers/"+id+"/json", "")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"Id": id, "Path": "sh", "Args": []any{"-c", "x y"}, "Platform": "linux", "LogPath": "", "Driver": "spearhead",
		"Config.Image": "busybox", "Config.AttachStdout": true, "Config.ExposedPorts": map[string]any{"80/tcp": map[string]any{}},
		"HostConfig.Memory": 16777216.0, "HostConfig.NanoCpus": 5e8, "HostConfig.CpuQuota": 0.0, "HostConfig.Binds": []any{"/a:/b:ro"},
		"HostConfig.NetworkMode": "default", "HostConfig.ShmSize": 67108864.0, "HostConfig.IpcMode": "private", "HostConfig.MaskedPaths": []any{},
		"HostConfig.CapAdd": []any{"NET_ADMIN"}, "HostConfig.LogConfig.Type": "json-file", "HostConfig.RestartPolicy.Name": "no",
		"NetworkSettings.Ports":                       map[string]any{"80/tcp": []any{map[string]any{"HostIp": "10.88.0.7", "HostPort": "80"}}},
		"NetworkSettings.Networks.external.IPAddress": "10.88.0.7", "NetworkSettings.Networks.external.Gateway": "10.88.0.1",
		"NetworkSettings.Networks.external.MacAddress": "02:00:00:00:00:07", "State.Status": "running", "State.FinishedAt": "0001-01-01T00:00:00Z",
	} {
		var value any = got
		for key := range strings.SplitSeq(path, ".") {
			object, _ := value.(map[string]any)
			value = object[key]
		}
		if diff := cmp.Diff(want, value); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	for query, want := range map[string]int{
		"": 1, `filters={"reference":["busy*"]}`: 1, `filters={"reference":["docker.io/library/busybox:latest"]}`: 1, `filters={"reference":["redis"]}`: 0,
		`filters={"dangling":["true"]}`: 0, `filters={"dangling":["false"]}`: 1, `filters={"label":["made=here"]}`: 1, `filters={"label":["made=there"]}`: 0,
		`filters={"before":["busybox"]}`: 0, `filters={"since":["busybox"]}`: 0,
	} {
		status, body := request(t, s, "GET", "/images/json?"+strings.ReplaceAll(query, `"`, "%22"), "")
		if got := strings.Count(body, `"Id"`); status != 200 || got != want {
			t.Errorf("%s: %d images, want %d (%d %s)", query, got, want, status, body)
		}
	}
	f.images[0].Names = append(f.images[0].Names, model.ImageName{Ref: "docker.io/mine/box:1"})
	if _, body := request(t, s, "GET", "/images/json?filters=%7B%22reference%22:%5B%22mine/*%22%5D%7D", ""); !strings.Contains(body, `"RepoDigests":[],"RepoTags":["mine/box:1"]`) {
		t.Errorf("an image is not shown by the names that were asked for: %s", body)
	}
	if _, body := request(t, s, "GET", "/v1.40/images/json?filter=redis", ""); body != "[]" {
		t.Errorf("filter of old clients: %s", body)
	}
	for path, want := range map[string]int{
		"/images/create?fromSrc=http://x/root.tar&repo=x": 501, "/images/create?fromImage=UPPER": 400, "/images/create?fromImage=x&tag=%20": 400, "/images/create": 400,
		"/images/create?fromImage=x": 404, "/images/create?fromImage=x&tag=": 404, "/images/create?fromImage=x&repo=y": 400,
		"/images/busybox/tag?repo=a:b&tag=c": 400, "/images/busybox/tag?repo=UP": 400, "/images/busybox/tag?repo=mine&tag=v1": 201, "/images/none/tag?repo=mine": 404,
	} {
		if status, body := request(t, s, "POST", path, ""); status != want {
			t.Errorf("POST %s: %d %s, want %d", path, status, body, want)
		}
	}
	if status, body := request(t, s, "POST", "/images/create?fromImage=x&tag=latest", "", "X-Registry-Auth", "%%%"); status != 400 {
		t.Errorf("bad credentials header: %d %s", status, body)
	}
	f.pull = nil
	request(t, s, "POST", "/images/create?fromImage=localhost:5000/a/b:v1", "", "X-Registry-Auth", "eyJ1c2VybmFtZSI6ImEiLCJwYXNzd29yZCI6ImIifQ==")
	if f.pulled.Ref != "localhost:5000/a/b:v1" || f.pulled.Auth.Username != "a" || f.pulled.Auth.Password != "b" {
		t.Errorf("pulled %+v", f.pulled)
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	if request(t, s, "POST", "/images/create?fromImage=busybox&tag="+digest, ""); f.pulled.Ref != "docker.io/library/busybox@"+digest {
		t.Errorf("pulled %q", f.pulled.Ref)
	}
	for password, want := range map[string]int{"right": 200, "wrong": 401} {
		if status, body := request(t, s, "POST", "/auth", `{"username":"u","password":"`+password+`","serveraddress":"localhost:5000"}`); status != want {
			t.Errorf("login: %d %s", status, body)
		}
	}
}

// still is a fake in which nothing changes, so that a list costs nothing.
type still struct{ *fake }

func (s still) List(context.Context, model.Account) ([]*model.Container, uint64, error) {
	return s.containers, s.number, nil
}

func (s still) Get(context.Context, model.Account, string) (model.Container, error) {
	return *s.containers[500], nil
}

// replace puts another container, changed, in the place of one, as a new state
// of the data center does.
func (s still) replace(i int, change func(*model.Container)) {
	c := *s.containers[i]
	change(&c)
	s.containers[i] = &c
	s.number++
}

// TestListsAreAsNewAfterEachChange compares a server that has answered before
// with one that has not.
func TestListsAreAsNewAfterEachChange(t *testing.T) {
	t.Parallel()
	f := still{crowd(20)}
	now := time.Now()
	fresh := func() *server {
		s := New(Config{Auth: f, Containers: f, Execs: f, Images: fakeImages{f.fake}, System: f, Version: "0.1.0"}).(*server)
		s.now = func() time.Time { return now }
		return s
	}
	old := fresh()
	steps := map[string]func(){
		"nothing": func() {},
		"a start": func() {
			f.replace(3, func(c *model.Container) { c.State = model.ContainerState{Status: model.StatusRunning, StartedAt: now} })
		},
		"a name":    func() { f.replace(4, func(c *model.Container) { c.Name = "renamed" }) },
		"a removal": func() { f.containers, f.number = slices.Delete(slices.Clone(f.containers), 5, 7), f.number+1 },
		"a new one": func() {
			f.containers, f.number = append(slices.Clone(f.containers), &model.Container{ID: "new", Name: "new"}), f.number+1
		},
		"a minute":         func() { now = now.Add(time.Minute) },
		"a removal of all": func() { f.containers, f.number = nil, f.number+1 },
	}
	order := []string{"nothing", "a start", "a minute", "a name", "a removal", "a minute", "a new one", "nothing", "a removal of all"}
	for _, step := range order {
		steps[step]()
		for _, path := range []string{"/containers/json?all=1", "/containers/json", "/v1.21/containers/json?all=1", "/containers/json?limit=3"} {
			answers := [2]string{}
			for i, s := range []*server{old, fresh()} {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				answers[i] = w.Body.String()
			}
			if diff := cmp.Diff(answers[1], answers[0]); diff != "" {
				t.Fatalf("%s after %s: %s", path, step, diff)
			}
			if !json.Valid([]byte(answers[0])) {
				t.Fatalf("%s after %s is no JSON: %.200s", path, step, answers[0])
			}
		}
	}
}

func benchmarkGet(b *testing.B, path string) {
	f := crowd(1000)
	benchmarkGetFrom(b, f, still{f}, path)
}

// busy is a fake in which a container changes before each list.
type busy struct{ still }

func (b busy) List(ctx context.Context, a model.Account) ([]*model.Container, uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.containers = slices.Clone(b.containers)
	b.replace(int(b.number)%len(b.containers), func(c *model.Container) { c.State.RestartCount++ })
	return b.still.List(ctx, a)
}

func BenchmarkListWhileContainersChange(b *testing.B) {
	f := crowd(1000)
	benchmarkGetFrom(b, f, busy{still{f}}, "/containers/json?all=1")
}

func benchmarkGetFrom(b *testing.B, f *fake, c Containers, path string) {
	s := httptest.NewTLSServer(New(Config{Auth: f, Containers: c, Execs: f, Images: fakeImages{f}, System: f, Version: "0.1.0"}))
	defer s.Close()
	client := s.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 16
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			answer, err := client.Get(s.URL + path)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	})
}

func BenchmarkPing(b *testing.B)            { benchmarkGet(b, "/_ping") }
func BenchmarkList(b *testing.B)            { benchmarkGet(b, "/containers/json?all=1") }
func BenchmarkListOfOldClient(b *testing.B) { benchmarkGet(b, "/v1.41/containers/json?all=1") }
func BenchmarkInspect(b *testing.B)         { benchmarkGet(b, "/v1.50/containers/box-500/json") }
