package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestARequestIsFollowedByItsId creates a container through a head that does not lead: the id
// that the client was told is in the logs of that head, of the leader and of the node.
func TestARequestIsFollowedByItsId(t *testing.T) {
	b := whole(t)
	leader := b.Leader(t)
	through := b.Through(t, others(leader)[0])
	a := newAPI(t, through).call(t.Context(), time.Minute, "POST", "/containers/create", map[string]any{"Image": b.Image, "Cmd": []string{"true"}})
	var made struct{ ID string }
	if err := json.Unmarshal(a.body, &made); err != nil || a.status != 201 || a.request == "" {
		t.Fatalf("status %d, request %q: %s", a.status, a.request, a.body)
	}
	t.Cleanup(func() { b.Remove(t, made.ID) })
	node := nodeOf(t, b, made.ID)
	for _, h := range b.Hosts(t) {
		if h.Name != leader && h.Name != others(leader)[0] && h.Name != node {
			continue
		}
		bed.Eventually(t, func() error {
			text, err := os.ReadFile(h.Log)
			if err != nil {
				return err
			}
			if !strings.Contains(string(text), "request="+a.request) {
				return fmt.Errorf("the log of %s does not tell of the request %s", h.Name, a.request)
			}
			return nil
		})
	}
}

// TestMetricsOfAllMachinesAreFound asks one head where all numbers are, as Prometheus does, and
// fetches them.
func TestMetricsOfAllMachinesAreFound(t *testing.T) {
	b := whole(t)
	id := b.Run(t, "--name", "measured", b.Image, "sleep", "1000")
	node := nodeOf(t, b, id)
	var groups []struct {
		Targets []string
		Labels  map[string]string
	}
	if err := json.Unmarshal([]byte(fetch(t, "http://"+address(t, b, "head-2")+":9376/targets")), &groups); err != nil {
		t.Fatal(err)
	}
	machines := map[string]string{}
	for _, g := range groups {
		for _, target := range g.Targets {
			machines[g.Labels["machine"]] = fetch(t, "http://"+target+"/metrics")
		}
	}
	if len(machines) != 6 {
		t.Errorf("%d machines are found: %v", len(machines), groups)
	}
	leaders := 0
	for _, head := range heads {
		text := machines[head]
		leaders += strings.Count(text, "spearhead_raft_leader 1\n")
		for _, want := range []string{
			"spearhead_raft_heads 3\n", `spearhead_node_connected{node="node-3"} 1`, `spearhead_api_requests_total{route=`, "spearhead_raft_commit_seconds_count",
			`spearhead_gossip_members{alive="yes",role="node"} 3`, `spearhead_gate_under_way{gate="streams"}`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not tell %s", head, want)
			}
		}
	}
	if leaders != 1 {
		t.Errorf("%d heads say that they lead", leaders)
	}
	if want := `spearhead_container_memory_bytes{account="dev",account_id="`; !strings.Contains(machines[node], want) || !strings.Contains(machines[node], `name="measured"`) {
		t.Errorf("%s does not tell of the container", node)
	}
}

func address(t *testing.T, b *bed.Bed, host string) string {
	t.Helper()
	for _, h := range b.Hosts(t) {
		if h.Name == host {
			return h.Address
		}
	}
	t.Fatalf("there is no %s", host)
	return ""
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second} // no proxy
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return string(text)
}
