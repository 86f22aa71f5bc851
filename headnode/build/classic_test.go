package build

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	control "github.com/moby/buildkit/api/services/control"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
)

func TestParametersOfTheOlderAPIBecomeAttributes(t *testing.T) {
	t.Parallel()
	got := solveRequest(dockerapi.BuildRequest{
		Names: []string{"docker.io/library/a:1", "docker.io/library/b:2"}, Dockerfile: "sub/Dockerfile", Target: "last", Platform: "linux/amd64",
		NoCache: true, Pull: true, Args: map[string]string{"A": "1"}, Labels: map[string]string{"l": "v"}, ExtraHosts: []string{"db:10.0.0.1", "six:::1"},
		Network: "none", ShmSize: 64, Ulimits: []model.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}}, CacheFrom: []string{"c"}, Remote: "https://example.com/x.tar",
	})
	want := map[string]string{
		"filename": "sub/Dockerfile", "target": "last", "platform": "linux/amd64", "no-cache": "", "image-resolve-mode": "pull",
		"build-arg:A": "1", "label:l": "v", "add-hosts": "db=10.0.0.1,six=::1", "force-network-mode": "none", "shm-size": "64",
		"ulimit": "nofile=1:2", "context": "https://example.com/x.tar",
	}
	if diff := cmp.Diff(want, got.FrontendAttrs); diff != "" {
		t.Error(diff)
	}
	if e := got.Exporters[0]; e.Type != "moby" || e.Attrs["name"] != "docker.io/library/a:1,docker.io/library/b:2" {
		t.Errorf("exporter %+v", e)
	}
	if c := got.Cache.Imports; len(c) != 1 || c[0].Attrs["ref"] != "c" {
		t.Errorf("imports %+v", c)
	}
	if own := solveRequest(dockerapi.BuildRequest{Session: "s", Remote: "client-session"}); own.Session != "s" || own.FrontendAttrs["context"] != "" {
		t.Errorf("with a session: %+v", own)
	}
}

func TestProgressIsToldInTheWordsOfTheOlderBuilder(t *testing.T) {
	t.Parallel()
	now := timestamppb.New(time.Unix(1, 0))
	const from, run = "sha256:1111111111111111", "sha256:2222222222222222"
	var told string
	p := &progress{tell: func(s dockerapi.BuildStep) { told += s.Text }}
	for _, m := range []*control.StatusResponse{
		{Vertexes: []*control.Vertex{{Digest: "sha256:0", Name: "[internal] load build definition", Started: now}, {Digest: run, Name: "[first 2/2] RUN make"}}},
		{Vertexes: []*control.Vertex{{Digest: from, Name: "[first 1/2] FROM docker.io/library/busybox:1@sha256:" + zeros, Started: now, Completed: now, Cached: true}}},
		{Vertexes: []*control.Vertex{{Digest: run, Name: "[first 2/2] RUN make", Started: now}}, Logs: []*control.VertexLog{{Vertex: run, Msg: []byte("made\n")}}},
		{Vertexes: []*control.Vertex{{Digest: run, Name: "[first 2/2] RUN make", Started: now, Completed: now}}},
	} {
		p.add(m)
	}
	const want = "Step 1/2 : FROM busybox:1\n ---> Using cache\n ---> 111111111111\nStep 2/2 : RUN make\n ---> Running in 222222222222\nmade\n ---> 222222222222\n"
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func TestFailuresInTheWordsOfTheOlderBuilder(t *testing.T) {
	t.Parallel()
	failed := explain(status.Error(codes.Unknown, `failed to solve: process "/bin/sh -c exit 3" did not complete successfully: exit code: 3`))
	want := &dockerapi.BuildError{Code: 3, Text: "The command '/bin/sh -c exit 3' returned a non-zero code: 3"}
	if diff := cmp.Diff(error(want), failed); diff != "" {
		t.Error(diff)
	}
	if err := explain(status.Error(codes.Unknown, "dockerfile parse error on line 1: unknown instruction: FORM")); err.Error() != "dockerfile parse error on line 1: unknown instruction: FORM" {
		t.Error(err)
	}
	if err := explain(status.Error(codes.Unavailable, "error reading from server: EOF")); !model.IsKind(err, model.KindUnavailable) {
		t.Error(err)
	}
}

func TestWhatASolveMakesForTheDataCenter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		r      *control.SolveRequest
		wanted bool
		names  []string
	}{
		{"by default", &control.SolveRequest{Exporters: []*control.Exporter{{Type: "moby", Attrs: map[string]string{"name": "a,b:2,a:latest"}}}}, true, []string{"docker.io/library/a:latest", "docker.io/library/b:2"}},
		{"as clients of old asked", &control.SolveRequest{ExporterDeprecated: "image"}, true, nil},
		{"files for the client", &control.SolveRequest{Exporters: []*control.Exporter{{Type: "local"}}}, false, nil},
		{"only pushed", &control.SolveRequest{Exporters: []*control.Exporter{{Type: "image", Attrs: map[string]string{"name": "a", "store": "false"}}}}, false, nil},
		{"nothing but cache", &control.SolveRequest{}, false, nil},
	} {
		wanted, names, err := wantsImage(c.r)
		if err != nil || wanted != c.wanted || !cmp.Equal(names, c.names) {
			t.Errorf("%s: %v %v %v", c.name, wanted, names, err)
		}
	}
	if _, _, err := wantsImage(&control.SolveRequest{ExporterDeprecated: "moby", ExporterAttrsDeprecated: map[string]string{"name": "BAD NAME"}}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("a bad name: %v", err)
	}
}
