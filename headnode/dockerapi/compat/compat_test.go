package compat

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// edges are the versions at which clients differ.
var edges = []Version{V(20), V(21), V(22), V(23), V(24), V(30), V(40), V(41), V(42), V(43), V(44), V(45), V(48), V(50), V(52), V(56)}

// golden compares got with the file of that name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatalf("%s: %v in %s", name, err, got)
	}
	pretty.WriteByte('\n')
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// newest holds an answer of each route in the newest form.
var newest = map[Route]string{
	ContainerList: `[{"Id":"c1","Names":["/web"],"Image":"busybox","ImageID":"sha256:11","Command":"sh","Created":1,"Ports":[],"Labels":{},
		"State":"running","Status":"Up 1 second","HostConfig":{"NetworkMode":"default"},"Mounts":[],
		"NetworkSettings":{"Networks":{"external":{"IPAddress":"10.0.0.7","Gateway":"10.0.0.1","GwPriority":0,"DNSNames":["web"]}}}}]`,
	ContainerInspect: `{"Id":"0123456789abcdef","Image":"sha256:11","State":{"Status":"running","Running":true,"Dead":false,"ExitCode":0},
		"Config":{"Cmd":["sh"],"Image":"busybox"},"HostConfig":{"NetworkMode":"external","VolumeDriver":"","Memory":9223372036854775807},
		"NetworkSettings":{"SandboxID":"s","SandboxKey":"","Ports":{},"Networks":{
			"a-dead-end":{"IPAddress":"192.168.0.2","Gateway":""},
			"external":{"IPAddress":"10.0.0.7","IPPrefixLen":16,"Gateway":"10.0.0.1","MacAddress":"02:00:00:00:00:07","EndpointID":"e","GwPriority":0,"DNSNames":["web"],"Aliases":null}}}}`,
	ImageList:    `[{"Id":"sha256:11","ParentId":"","RepoTags":[],"RepoDigests":[],"Size":5,"Created":1,"Containers":2,"Labels":{}}]`,
	ImageInspect: `{"Id":"sha256:11","RepoTags":["busybox:latest"],"Size":5,"Config":{"Cmd":["sh"]},"Os":"linux"}`,
	ImageHistory: `[{"Id":"sha256:11","CreatedBy":"CMD sh"},{"Id":"<missing>","CreatedBy":"ADD"}]`,
	Info: `{"ID":"dc","KernelVersion":"","SecurityOptions":["name=seccomp,profile=builtin"],"Warnings":[],"CgroupVersion":"2",
		"RuncCommit":{"ID":"r"},"ContainerdCommit":{"ID":""},"InitCommit":{"ID":""},"RegistryConfig":{"Mirrors":[]},"FirewallBackend":{},"NRI":{}}`,
	ServerVersion: `{"Version":"0.1","ApiVersion":"1.56","MinAPIVersion":"1.20","Platform":{"Name":"Spearhead"},"Components":[]}`,
	Events:        `{"Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"image":"busybox","name":"web"}},"scope":"local","time":1,"timeNano":1000000001}`,
}

// requests holds a body of each route in the widest form that older clients sent.
var requests = map[Route]string{
	ContainerCreate: `{"Image":"busybox","Cmd":"ls","MacAddress":"02:00:00:00:00:09","VolumeDriver":"nfs","HostConfig":{"AutoRemove":true,"ConsoleSize":[24,80],
		"CgroupnsMode":"host","IpcMode":"","Mounts":[{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"NonRecursive":true,"CreateMountpoint":true},"TmpfsOptions":{}}]}}`,
	ExecCreate: `{"Cmd":["sh"],"Env":["A=b"],"WorkingDir":"/","ConsoleSize":[24,80]}`,
	ExecStart:  `{"Tty":true,"ConsoleSize":[24,80]}`,
}

func fileName(r Route, v Version) string {
	return strings.NewReplacer("GET ", "", "POST ", "", "/", "-", "{", "", "}", "", "...", "").Replace(string(r))[1:] + "/" + v.String() + ".json"
}

func TestAnswersOfEachVersion(t *testing.T) {
	t.Parallel()
	for route, body := range newest {
		for _, v := range edges {
			got, err := Lower(route, v, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "answers/"+fileName(route, v), got)
		}
	}
}

func TestRequestsOfEachVersion(t *testing.T) {
	t.Parallel()
	for route, body := range requests {
		for _, v := range edges {
			got, err := RaiseBody(route, v, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "requests/"+fileName(route, v), got)
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

// FuzzFixers holds that fixers take any JSON and that a second pass changes
// nothing.
func FuzzFixers(f *testing.F) {
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
		v := V(20 + max(minor, -minor)%37)
		for route := range changes {
			for name, fix := range map[string]func(Route, Version, []byte) ([]byte, error){"raise": RaiseBody, "lower": Lower} {
				once, err := fix(route, v, []byte(body))
				if err != nil {
					t.Fatal(err)
				}
				twice, err := fix(route, v, once)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(once, twice) {
					t.Errorf("%s %s at %s: %s then %s", name, route, v, once, twice)
				}
			}
		}
	})
}
