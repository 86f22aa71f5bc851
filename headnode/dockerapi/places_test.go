package dockerapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestUsersSeeWhereContainersAre(t *testing.T) {
	t.Parallel()
	f := crowd(3) // box-2 has ended
	f.containers[2].NodeID, f.containers[1].NodeID, f.containers[0].NodeID = "here", "lost", "lost"
	s := f.serve(t)
	_, body := request(t, s, http.MethodGet, "/v1.44/containers/json?all=1", "")
	var list []struct {
		Names  []string
		Status string
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		marked := strings.HasSuffix(c.Status, " (unreachable)")
		if want := c.Names[0] == "/box-1"; marked != want {
			t.Errorf("%s has the status %q", c.Names[0], c.Status)
		}
	}
	for name, want := range map[string]string{"name-of-here": "0", "here": "0", "name-of-lost": "1", "elsewhere": ""} {
		filter := url.QueryEscape(`{"node":["` + name + `"]}`)
		_, body := request(t, s, http.MethodGet, "/v1.44/containers/json?filters="+filter, "")
		if got := strings.Join(names(t, body), " "); got != want {
			t.Errorf("on %s there is %q, want %q", name, got, want)
		}
	}
}

func TestInspectHasTheNodeAsSwarmHad(t *testing.T) {
	t.Parallel()
	f := crowd(2)
	f.containers[0].NodeID = "here"
	s := f.serve(t)
	look := func() (found struct {
		State struct{ Status, Error string }
		Node  struct {
			ID, Name, IP string
			Cpus         int
			Memory       int64
			Connected    bool
		}
	}) {
		t.Helper()
		code, body := request(t, s, http.MethodGet, "/v1.44/containers/box-1/json", "")
		if err := json.Unmarshal([]byte(body), &found); err != nil || code != http.StatusOK {
			t.Fatalf("%d %s: %v", code, body, err)
		}
		return found
	}
	found := look()
	if found.Node.Name != "name-of-here" || found.Node.Cpus != 4 || found.Node.Memory != 8<<30 || !found.Node.Connected || found.State.Error != "" {
		t.Errorf("it is on %+v, state %+v", found.Node, found.State)
	}
	f.mu.Lock()
	moved := *f.containers[0]
	moved.NodeID = "lost"
	f.containers[0] = &moved
	f.mu.Unlock()
	if found = look(); found.Node.Connected || found.State.Status != "running" || !strings.Contains(found.State.Error, "does not answer") {
		t.Errorf("on a node that is gone it is on %+v, state %+v", found.Node, found.State)
	}
	if _, body := request(t, s, http.MethodGet, "/v1.44/containers/box-0/json", ""); strings.Contains(body, `"Node"`) {
		t.Error("a container without a node has one")
	}
}

func TestInfoListsNodesInTheWordsOfSwarm(t *testing.T) {
	t.Parallel()
	all := make([]Place, shownPlaces+3)
	all[0] = Place{Name: "one", Connected: true, CPUs: 8, Memory: 1 << 30, Containers: 2}
	all[0].Reserved.CPU, all[0].Reserved.Memory = 1500, 512<<20
	all[1] = Place{Name: "two"}
	rows := systemStatus(all)
	var text strings.Builder
	for _, row := range rows {
		text.WriteString(row[0] + ": " + row[1] + "\n")
	}
	for _, want := range []string{
		"Nodes: 53\n", " one: \n  └ Status: Healthy\n  └ Containers: 2\n  └ Reserved CPUs: 1.5 / 8\n  └ Reserved Memory: 512MiB / 1GiB\n",
		" two: \n  └ Status: Unreachable\n", " and more: 3\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("docker info lacks %q", want)
		}
	}
}
