package dockerapi

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// What the golden data center holds.
var (
	goldenNow  = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	goldenWeb  = strings.Repeat("ab", 32)
	goldenJob  = strings.Repeat("cd", 32)
	goldenNap  = strings.Repeat("09", 32)
	goldenExec = strings.Repeat("ef", 32)

	goldenImage = strings.Repeat("1", 64)
)

// randomID is what a fake names new things, and no id of the fixture.
var randomID = regexp.MustCompile(`"[0-9a-f]{64}"`)

func withoutRandom(body []byte) []byte {
	return randomID.ReplaceAllFunc(body, func(id []byte) []byte {
		switch strings.Trim(string(id), `"`) {
		case goldenWeb, goldenJob, goldenNap, goldenExec, goldenImage:
			return id
		}
		return []byte(`"ID"`)
	})
}

// newGoldenHandler serves a data center in which nothing changes by itself:
// web runs and has a bit of everything, nap is paused, job has ended.
func newGoldenHandler(t *testing.T) http.Handler {
	t.Helper()
	f := newFake()
	handler := f.handler()
	handler.(*server).now = func() time.Time { return goldenNow }
	handler.(*server).statsInterval = time.Nanosecond
	handler.(*server).program = program{[]debug.BuildSetting{{Key: "vcs.revision", Value: "0123456"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}}}
	add := func(name, id, body string) *model.Container {
		request := httptest.NewRequest("POST", "/containers/create?name="+name, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, request); w.Code != http.StatusCreated {
			t.Fatalf("cannot make container %s: %d %s", name, w.Code, w.Body)
		}
		c := f.containers[0]
		f.running[id] = f.running[c.ID]
		c.ID, c.Created = id, goldenNow.Add(time.Duration(len(f.containers)-60)*time.Minute)
		return c
	}
	job := add("job", goldenJob, `{"Image":"busybox","Cmd":["exit","3"],"HostConfig":{"NetworkMode":"none"}}`)
	job.NICs = nil
	job.State = model.ContainerState{
		Status: model.StatusExited, ExitCode: 3, OOMKilled: true,
		StartedAt: goldenNow.Add(-30 * time.Minute), FinishedAt: goldenNow.Add(-29 * time.Minute),
	}
	f.codes[goldenJob] = 3
	nap := add("nap", goldenNap, `{"Image":"busybox","Cmd":["sleep","9"],"HostConfig":{"NetworkMode":"none"}}`)
	nap.NICs, nap.State = nil, model.ContainerState{Status: model.StatusPaused, Pid: 43, StartedAt: goldenNow.Add(-time.Minute)}
	web := add("web", goldenWeb, `{"Image":"busybox","Cmd":["-c","exec httpd -f"],"Entrypoint":["sh"],"Env":["A=b"],"Labels":{"x.y":"z"},
		"Hostname":"web","User":"www","WorkingDir":"/srv","Tty":true,"OpenStdin":true,"StopSignal":"SIGINT","StopTimeout":5,
		"ExposedPorts":{"53/udp":{}},"HostConfig":{"Memory":67108864,"NanoCpus":500000000,"PidsLimit":50,"Binds":["/srv/www:/srv:ro"],
		"Tmpfs":{"/run":"size=1m"},"PortBindings":{"80/tcp":[{"HostPort":"80"}]},"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":2},
		"Dns":["10.88.0.2"],"CapAdd":["NET_ADMIN"],"Ulimits":[{"Name":"nofile","Soft":64,"Hard":128}]}}`)
	web.State = model.ContainerState{
		Status: model.StatusRunning, Pid: 42, StartedAt: goldenNow.Add(-10 * time.Minute), RestartCount: 1,
	}
	web.Spec.Links = []model.Link{{ContainerID: goldenJob, Name: "job", Alias: "db", Address: "10.88.0.8"}}
	f.differences = []model.FileChange{{Path: "/etc", Kind: model.FileModified}, {Path: "/etc/new", Kind: model.FileAdded}}
	exec := wire.ExecSpec{ID: goldenExec, Args: []string{"id", "-u"}, User: "www", Stdout: true}
	code := 0
	f.execs[goldenExec] = &wire.ExecState{ID: goldenExec, ContainerID: goldenWeb, Spec: exec, ExitCode: &code}
	f.volumes = []Volume{
		{Volume: model.Volume{ID: "v1", Name: "data", Driver: "local", Created: goldenNow, Labels: map[string]string{"x": "y"}}},
		{Volume: model.Volume{ID: "v2", Name: "drawn", Driver: "local", Created: goldenNow, Labels: map[string]string{model.LabelAnonymous: ""}}, Containers: 1},
	}
	f.events = goldenEvents()
	f.pull = func(func(wire.PullProgress)) (PullResult, error) {
		return PullResult{Digest: f.images[0].Names[0].Digest}, nil
	}
	return handler
}

// goldenEvents have one of each sort that some versions know and others do not.
func goldenEvents() []model.Event {
	attributes := map[string]string{"image": "busybox", "name": "web"}
	return []model.Event{
		{Time: goldenNow, Type: "container", Action: "start", ActorID: goldenWeb, Attributes: attributes},
		{Time: goldenNow.Add(time.Second), Type: "network", Action: "connect", ActorID: fakeNetwork.ID, Attributes: map[string]string{"name": "external"}},
		{Time: goldenNow.Add(2 * time.Second), Type: "image", Action: "pull", ActorID: "busybox:latest", Attributes: map[string]string{"name": "busybox"}},
		{Time: goldenNow.Add(3 * time.Second), Type: "container", Action: "prune", Attributes: map[string]string{"reclaimed": "5"}},
	}
}
