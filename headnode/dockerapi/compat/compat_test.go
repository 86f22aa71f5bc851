package compat

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// newest holds an answer of each route in the newest form.
var newest = map[Route]string{
	ContainerList: `[{"Id":"c1","Names":["/web"],"Image":"busybox","ImageID":"sha256:11","Command":"sh","Created":1,"Ports":[],"Labels":{},
		"State":"running","Status":"Up 1 second","Health":{"Status":"none"},"HostConfig":{"NetworkMode":"default","Annotations":{"a":"b"}},"Mounts":[],
		"NetworkSettings":{"Networks":{"external":{"IPAddress":"10.0.0.7","Gateway":"10.0.0.1","GwPriority":0,"DNSNames":["web"]}}}}]`,
	ContainerInspect: `{"Id":"0123456789abcdef","Image":"sha256:11","State":{"Status":"running","Running":true,"Dead":false,"ExitCode":0,"Health":{"Status":"starting"}},
		"Config":{"Cmd":["sh"],"Image":"busybox","Healthcheck":{}},"HostConfig":{"NetworkMode":"external","VolumeDriver":"","Memory":9223372036854775807,"Umask":7},
		"Storage":{"RootFS":{"Snapshot":{"Name":"zfs"}}},
		"NetworkSettings":{"SandboxID":"s","SandboxKey":"","Ports":{},"Networks":{
			"a-dead-end":{"IPAddress":"192.168.0.2","Gateway":""},
			"external":{"IPAddress":"10.0.0.7","IPPrefixLen":16,"Gateway":"10.0.0.1","MacAddress":"02:00:00:00:00:07","EndpointID":"e","GwPriority":0,"DNSNames":["web"],"Aliases":null}}}}`,
	ContainerStats: `{"id":"c1","name":"/web","os_type":"linux","pids_stats":{"current":1},"cpu_stats":{"online_cpus":2},"precpu_stats":{"online_cpus":2},
		"networks":{"eth0":{"rx_bytes":18446744073709551000,"tx_bytes":1},"eth1":{"rx_bytes":5,"tx_bytes":2}}}`,
	ContainerCommit: `{"Id":"sha256:11"}`,

	ImageList:    `[{"Id":"sha256:11","ParentId":"","RepoTags":[],"RepoDigests":[],"Size":5,"Created":1,"Containers":2,"Labels":{}}]`,
	ImageInspect: `{"Id":"sha256:11","RepoTags":["busybox:latest"],"Size":5,"Config":{"Cmd":["sh"]},"Os":"linux"}`,
	ImageHistory: `[{"Id":"sha256:11","CreatedBy":"CMD sh"},{"Id":"<missing>","CreatedBy":"ADD"}]`,
	Info: `{"ID":"dc","KernelVersion":"","SecurityOptions":["name=seccomp,profile=builtin"],"Warnings":[],"CgroupVersion":"2",
		"RuncCommit":{"ID":"r"},"ContainerdCommit":{"ID":""},"InitCommit":{"ID":""},"RegistryConfig":{"Mirrors":[]},"FirewallBackend":{},"NRI":{}}`,
	ServerVersion: `{"Version":"0.1","ApiVersion":"1.56","MinAPIVersion":"1.20","Platform":{"Name":"Spearhead"},"Components":[]}`,
	Events:        `{"Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"image":"busybox","name":"web"}},"scope":"local","time":1,"timeNano":1000000001}`,
	DiskUsage: `{"ImageUsage":{"Items":[{"Id":"sha256:11","RepoTags":[],"RepoDigests":[],"Size":5}],"TotalCount":1,"TotalSize":5},
		"ContainerUsage":{},"VolumeUsage":{},"BuildCacheUsage":{}}`,
	NetworkList: `[{"Id":"n1","Name":"external","EnableIPv4":true,"EnableIPv6":false,"Internal":false}]`,
}

// requests holds a body of each route in the widest form that older clients sent.
var requests = map[Route]string{
	ContainerCreate: `{"Image":"busybox","Cmd":"ls","MacAddress":"02:00:00:00:00:09","VolumeDriver":"nfs","HostConfig":{"AutoRemove":true,"ConsoleSize":[24,80],
		"CgroupnsMode":"host","IpcMode":"","Mounts":[{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"NonRecursive":true,"CreateMountpoint":true},"TmpfsOptions":{}}]}}`,
	ContainerUpdate: `{"Memory":1,"PidsLimit":5,"NanoCpus":1,"BlkioWeightDevice":[],"RestartPolicy":{"Name":"always"}}`,
	ExecCreate:      `{"Cmd":["sh"],"Env":["A=b"],"WorkingDir":"/","ConsoleSize":[24,80]}`,
	ExecStart:       `{"Tty":true,"ConsoleSize":[24,80]}`,
}

// TestLowering holds the changes that are more than the loss of a field. What
// each version gets of each route, whole, is in the golden files of dockerapi.
func TestLowering(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		route Route
		v     Version
		want  string // a part of the answer
	}{
		{ContainerInspect, V(51), `"GraphDriver":{"Data":null,"Name":"zfs"}`},
		{ContainerInspect, V(51), `"GlobalIPv6PrefixLen":0,"HairpinMode":false,"IPAddress":"10.0.0.7"`},
		{ContainerInspect, V(44), `"Aliases":["0123456789ab"]`},
		{ContainerInspect, V(24), `"Memory":9223372036854775807`},
		{ContainerInspect, V(20), `"Config":{"Cmd":["sh"],"Image":"busybox","OnBuild":null,"VolumeDriver":""}`},
		{ContainerStats, V(20), `"network":{"rx_bytes":18446744073709551005,"rx_dropped":0,`},
		{ContainerStats, V(21), `"networks":{"eth0":`},
		{ContainerCommit, V(21), `{"Id":"11"}`},
		{ContainerCommit, V(22), `{"Id":"sha256:11"}`},
		{ImageList, V(42), `"RepoDigests":["<none>@<none>"],"RepoTags":["<none>:<none>"]`},
		{ImageList, V(21), `"Id":"11"`},
		{Info, V(24), `"ExecutionDriver":"native"`},
		{Info, V(24), `"SecurityOptions":["seccomp"]`},
		{Info, V(38), `"KernelVersion":"<unknown>"`},
		{Events, V(51), `"from":"busybox","id":"c1","scope":"local","status":"start"`},
		{Events, V(21), `{"from":"busybox","id":"c1","status":"start","time":1,"timeNano":1000000001}`},
		{DiskUsage, V(52), `"LayersSize":5`},
		{DiskUsage, V(51), `{"BuildCache":[],"Containers":[],"Images":[{"Id":"sha256:11","RepoDigests":[],"RepoTags":[],"Size":5}],"LayersSize":5,"Volumes":[]}`},
		{DiskUsage, V(41), `{"BuildCache":[],"BuilderSize":0,"Containers":[],"Images":[{"Id":"sha256:11","RepoDigests":["<none>@<none>"],"RepoTags":["<none>:<none>"],"Size":5,"VirtualSize":5}]`},
		{NetworkList, V(27), `"Containers":{}`},
	} {
		got, err := Lower(c.route, c.v, []byte(newest[c.route]))
		if err != nil || !strings.Contains(string(got), c.want) {
			t.Errorf("%s at %s: %v %s\nlacks %s", c.route, c.v, err, got, c.want)
		}
	}
}

func TestRaising(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		route Route
		v     Version
		want  string // a part of the request
	}{
		{ContainerCreate, V(20), `"VolumeDriver":"nfs"},"Image"`},
		{ContainerCreate, V(24), `{"Cmd":["ls"],"HostConfig":{"IpcMode":"shareable","Mounts":[{"BindOptions":{},"Source":"/a","Target":"/b","Type":"bind"}]},` +
			`"Image":"busybox","NetworkingConfig":{"EndpointsConfig":{"default":{"MacAddress":"02:00:00:00:00:09"}}},"VolumeDriver":"nfs"}`},
		{ContainerCreate, V(41), `"CgroupnsMode":"host","IpcMode":""`},
		{ContainerCreate, V(42), `"ConsoleSize":[24,80]`},
		{ContainerCreate, V(51), `"EndpointsConfig":{"default":{"MacAddress":"02:00:00:00:00:09"}}`},
		{ContainerUpdate, V(22), `{"Memory":1}`},
		{ContainerUpdate, V(54), `{"Memory":1,"NanoCpus":1,"PidsLimit":5,"RestartPolicy":{"Name":"always"}}`},
		{ExecCreate, V(24), `{"Cmd":["sh"]}`},
		{ExecStart, V(41), `{"Tty":true}`},
	} {
		got, err := RaiseBody(c.route, c.v, []byte(requests[c.route]))
		if err != nil || !strings.Contains(string(got), c.want) {
			t.Errorf("%s at %s: %v %s\nlacks %s", c.route, c.v, err, got, c.want)
		}
	}
}

func TestNothingChangesAtTheNewestVersion(t *testing.T) {
	t.Parallel()
	for route, body := range newest {
		got, err := Lower(route, Newest, []byte(body))
		if err != nil || string(got) != body {
			t.Errorf("%s: %v %s", route, err, got)
		}
	}
}

func TestQueriesOfOlderVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		route       Route
		v           Version
		query, want string
	}{
		{ContainerWait, V(29), "condition=removed", ""},
		{ContainerWait, V(30), "condition=removed", "condition=removed"},
		{ContainerLogs, V(34), "until=5&tail=1", "tail=1"},
		{ContainerStop, V(41), "signal=INT&t=1", "t=1"},
		{ImageCreate, V(31), "platform=linux%2Farm64&fromImage=x", "fromImage=x"},
		{ImageList, V(40), "filter=busy*", "filters=" + url.QueryEscape(`{"reference":["busy*"]}`)},
		{ImageList, V(40), "filter=busy*&filters=" + url.QueryEscape(`{"label":["a"]}`), "filters=" + url.QueryEscape(`{"label":["a"],"reference":["busy*"]}`)},
		{ImageList, V(41), "filter=busy*", "filter=busy%2A"},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		RaiseQuery(c.route, c.v, q)
		RaiseQuery(c.route, c.v, q)
		if got := q.Encode(); got != c.want {
			t.Errorf("%s at %s: %s, want %s", c.route, c.v, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"1.20": true, "1.56": true, "1.44": true, "1.19": false, "1.9": false, "1.57": false, "1.100": false, "2": false, "2.0": false,
		"1": false, "": false, ".": false, "1.44.1": false, "1..44": false, "1.99999999999999999999": false,
	} {
		if _, err := Parse(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestChangesAreInOrder holds what RaiseBody and Lower rest on.
func TestChangesAreInOrder(t *testing.T) {
	t.Parallel()
	for route, of := range changes {
		for i := 1; i < len(of); i++ {
			if of[i].before.Before(of[i-1].before) {
				t.Errorf("%s: the change at %s stands after the one at %s", route, of[i].before, of[i-1].before)
			}
		}
	}
}

func TestEventsThatAreNew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v            Version
		kind, action string
		want         bool
	}{
		{V(20), "container", "start", true}, {V(21), "network", "connect", false}, {V(22), "network", "connect", true},
		{V(40), "container", "prune", false}, {V(41), "container", "prune", true}, {V(45), "image", "create", false}, {Newest, "image", "create", true},
	} {
		if got := c.v.KnowsEvent(c.kind, c.action); got != c.want {
			t.Errorf("%s %s at %s: %v", c.kind, c.action, c.v, got)
		}
	}
}

// FuzzLowerAndRaise holds that any JSON is taken and stays JSON, and that an
// answer that was lowered already is left as it is.
func FuzzLowerAndRaise(f *testing.F) {
	for _, bodies := range []map[Route]string{newest, requests} {
		for _, body := range bodies {
			f.Add(body, 20)
			f.Add(body, 43)
		}
	}
	f.Fuzz(func(t *testing.T, body string, minor int) {
		if !json.Valid([]byte(body)) {
			t.Skip()
		}
		v := V(20 + (minor%37+37)%37)
		for route := range changes {
			raised, err := RaiseBody(route, v, []byte(body))
			if err != nil || !json.Valid(raised) {
				t.Errorf("raise %s at %s: %v %s", route, v, err, raised)
			}
			once, err := Lower(route, v, []byte(body))
			if err != nil || !json.Valid(once) {
				t.Fatalf("lower %s at %s: %v %s", route, v, err, once)
			}
			if twice, err := Lower(route, v, once); err != nil || !bytes.Equal(once, twice) {
				t.Errorf("lower %s at %s: %v %s then %s", route, v, err, once, twice)
			}
		}
	})
}

// FuzzRaiseQuery holds that any parameters are taken and that a second pass
// changes nothing.
func FuzzRaiseQuery(f *testing.F) {
	f.Add("filter=a&filters=%7B%22label%22%3A%5B%22a%22%5D%7D&since=x", 20)
	f.Add("filters=null&filter=x", 30)
	f.Fuzz(func(t *testing.T, raw string, minor int) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			t.Skip()
		}
		v := V(20 + (minor%37+37)%37)
		for route := range changes {
			RaiseQuery(route, v, q)
			once := q.Encode()
			if RaiseQuery(route, v, q); q.Encode() != once {
				t.Errorf("%s at %s: %s then %s", route, v, once, q.Encode())
			}
		}
	})
}

// FuzzParse holds that a version that is taken is one of the range and is
// written as it was read, but for zeros in front.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"1.20", "1.56", "1.057", "9.9", "1.", ".1", "1.2.3", "-1.20"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse(text)
		if err != nil {
			return
		}
		if v.Before(Oldest) || Newest.Before(v) {
			t.Errorf("%q is %s", text, v)
		}
		if again, err := Parse(v.String()); err != nil || again != v {
			t.Errorf("%q: %s is %s, %v", text, v, again, err)
		}
	})
}
