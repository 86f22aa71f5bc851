package dockerapi

import (
	"bufio"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"

	"github.com/spearheadcloud/spearhead/model"
)

// quickStats serves f with samples that follow each other at once.
func quickStats(t *testing.T, f *fake) *httptest.Server {
	t.Helper()
	handler := f.handler().(*server)
	handler.statsInterval = time.Millisecond
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

func statsOf(t *testing.T, text string) container.StatsResponse {
	t.Helper()
	var r container.StatsResponse
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return r
}

func TestStatsOnce(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := quickStats(t, f)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","60"]}`)
	_, body := request(t, s, "GET", "/containers/"+id+"/stats?stream=0", "")
	if r := statsOf(t, body); r.ID != id || r.Name != "/"+f.containers[0].Name || !r.Read.IsZero() || r.CPUStats.CPUUsage.TotalUsage != 0 || r.OSType != "linux" {
		t.Errorf("of one that does not run: %s", body)
	}
	request(t, s, "POST", "/containers/"+id+"/start", "")
	_, body = request(t, s, "GET", "/containers/"+id+"/stats?stream=false", "")
	if r := statsOf(t, body); r.CPUStats.CPUUsage.TotalUsage != 2000 || r.PreCPUStats.CPUUsage.TotalUsage != 1000 || r.PreRead.IsZero() || r.Networks["eth0"].RxBytes != 20 {
		t.Errorf("the second of two samples: %s", body)
	}
	if !strings.Contains(body, `"io_queue_recursive":[]`) {
		t.Errorf("of version 1 of cgroups: %s", body)
	}
	f.cgroups = 2
	_, body = request(t, s, "GET", "/containers/"+id+"/stats?stream=false&one-shot=1", "")
	if r := statsOf(t, body); r.CPUStats.CPUUsage.TotalUsage != 3000 || !r.PreRead.IsZero() || r.PreCPUStats.SystemUsage != 0 {
		t.Errorf("one sample: %s", body)
	}
	if !strings.Contains(body, `"io_queue_recursive":null`) || !strings.Contains(body, `"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"read","value":3}]`) {
		t.Errorf("of version 2 of cgroups: %s", body)
	}
	for path, want := range map[string]int{"/containers/" + id + "/stats?one-shot=1": 400, "/containers/none/stats": 404} {
		if status, body := request(t, s, "GET", path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// TestStatsStream holds that samples go on while a container stops and starts,
// and end with it.
func TestStatsStream(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := quickStats(t, f)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","60"]}`)
	answer, err := s.Client().Get(s.URL + "/containers/" + id + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	awaitSample := func(running bool) {
		t.Helper()
		for lines.Scan() {
			if r := statsOf(t, lines.Text()); r.Read.IsZero() == !running {
				return
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
	}
	awaitSample(false)
	request(t, s, "POST", "/containers/"+id+"/start", "")
	awaitSample(true)
	request(t, s, "DELETE", "/containers/"+id+"?force=1", "")
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("after the container's removal: %v", err)
	}
}

func TestDiskUsage(t *testing.T) {
	t.Parallel()
	f := newFake()
	layers := func(id string, containers int, diffs ...string) Image {
		i := f.images[0]
		i.ID, i.DiffIDs, i.Containers, i.Size, i.History = "sha256:"+strings.Repeat(id, 64), diffs, containers, 0, nil
		for n := range diffs {
			i.History = append(i.History, model.ImageHistory{Size: int64(n+1) * 100}, model.ImageHistory{EmptyLayer: true})
			i.Size += int64(n+1) * 100
		}
		return i
	}
	// a and b share the first layer; c has a's second layer over another one, which is no sharing
	f.images = []Image{layers("1", 1, "a", "b"), layers("2", 0, "a", "c"), layers("3", 0, "d", "b")}
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","60"]}`)
	made(t, s, `{"Image":"busybox"}`)
	request(t, s, "POST", "/containers/"+id+"/start", "")
	get := func(query string) system.DiskUsage {
		t.Helper()
		status, body := request(t, s, "GET", "/system/df"+query, "")
		var usage system.DiskUsage
		if err := json.Unmarshal([]byte(body), &usage); err != nil || status != 200 {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		return usage
	}
	usage := get("?verbose=1")
	if i := usage.ImageUsage; i.TotalCount != 3 || i.ActiveCount != 1 || i.TotalSize != 800 || i.Reclaimable != 500 || len(i.Items) != 3 {
		t.Errorf("images: %+v", i)
	}
	for at, want := range []int64{100, 100, 0} {
		if got := usage.ImageUsage.Items[at].SharedSize; got != want {
			t.Errorf("image %d shares %d, want %d", at, got, want)
		}
	}
	if c := usage.ContainerUsage; c.TotalCount != 2 || c.ActiveCount != 1 || c.TotalSize != 2000 || c.Reclaimable != 1000 || c.Items[0].SizeRw != 1000 {
		t.Errorf("containers: %+v", c)
	}
	if usage = get(""); usage.ImageUsage.Items != nil || usage.VolumeUsage == nil || usage.BuildCacheUsage == nil {
		t.Errorf("short: %+v", usage)
	}
	if usage = get("?type=container"); usage.ImageUsage != nil || usage.ContainerUsage == nil || usage.VolumeUsage != nil {
		t.Errorf("containers alone: %+v", usage)
	}
	if status, _ := request(t, s, "GET", "/system/df?type=socks", ""); status != 400 {
		t.Errorf("an unknown type: %d", status)
	}
	if _, body := request(t, s, "GET", "/images/json?shared-size=1", ""); !strings.Contains(body, `"SharedSize":100`) {
		t.Errorf("a list with shared sizes: %s", body)
	}
	if _, body := request(t, s, "GET", "/images/json", ""); !strings.Contains(body, `"SharedSize":-1`) {
		t.Errorf("a list without: %s", body)
	}
}

func TestNetworksAreListed(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","60"]}`)
	request(t, s, "POST", "/containers/"+id+"/start", "")
	list := func(filters string) string {
		t.Helper()
		status, body := request(t, s, "GET", "/networks?filters="+url.QueryEscape(filters), "")
		var networks []network.Summary
		if err := json.Unmarshal([]byte(body), &networks); err != nil || status != 200 {
			t.Fatalf("%s: %d %s: %v", filters, status, body, err)
		}
		var names []string
		for _, n := range networks {
			names = append(names, n.Name)
		}
		return strings.Join(names, " ")
	}
	for filters, want := range map[string]string{
		"": "external bridge none", `{"name":["ext"]}`: "external", `{"driver":["null"]}`: "none", `{"type":["custom"]}`: "external",
		`{"type":["builtin"]}`: "bridge none", `{"scope":["swarm"]}`: "", `{"dangling":["true"]}`: "none", `{"dangling":["false"]}`: "external bridge",
		`{"id":["nnnn"]}`: "external", `{"label":["x"]}`: "",
	} {
		if got := list(filters); got != want {
			t.Errorf("%s: %q, want %q", filters, got, want)
		}
	}
	for _, ref := range []string{"external", fakeNetwork.ID, "nnn", "bridge"} {
		status, body := request(t, s, "GET", "/networks/"+ref, "")
		var inspected network.Inspect
		if err := json.Unmarshal([]byte(body), &inspected); err != nil || status != 200 {
			t.Fatalf("%s: %d %s: %v", ref, status, body, err)
		}
		if e := inspected.Containers[id]; e.IPv4Address.String() != "10.88.0.7/16" || e.Name != f.containers[0].Name {
			t.Errorf("%s: %s", ref, body)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/networks/none", 200}, {"GET", "/networks/host", 404}, {"GET", "/networks/nowhere", 404}, {"GET", "/networks/external?scope=swarm", 404},
		{"DELETE", "/networks/external", 403}, {"DELETE", "/networks/nowhere", 404}, {"POST", "/networks/create", 400},
		{"POST", "/networks/none/connect", 400}, {"GET", "/networks?filters=%7B%22type%22:%5B%22odd%22%5D%7D", 400},
		{"GET", "/volumes", 200}, {"GET", "/volumes/x", 404}, {"DELETE", "/volumes/x", 404}, {"DELETE", "/volumes/x?force=1", 204},
		{"GET", "/plugins", 200}, {"POST", "/session", 400}, {"POST", "/grpc", 400},
		{"GET", "/containers/" + id + "/checkpoints", 501}, {"GET", "/swarm", 503}, {"POST", "/swarm/init", 501},
	} {
		if status, body := request(t, s, c.method, c.path, ""); status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, body, c.status)
		}
	}
	f.account.Policy = model.PolicyTrusted
	if got := list(""); got != "external bridge none host" {
		t.Errorf("of a trusted account: %s", got)
	}
	if status, body := request(t, s, "GET", "/v1.27/networks", ""); status != 200 || !strings.Contains(body, `"Containers":{"`+id) {
		t.Errorf("before 1.28: %d %s", status, body)
	}
	if _, body := request(t, s, "GET", "/volumes", ""); body != `{"Volumes":[],"Warnings":null}` {
		t.Errorf("volumes: %s", body)
	}
}
