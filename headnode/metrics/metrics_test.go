package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/gossip"
	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/metrics"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// sources are those of a data center in memory.
func sources(c *headtest.Center) metrics.Sources {
	return metrics.Sources{
		Store: c.Store, Session: c.Nodes.Session, Findings: c.Reconciler.Findings, Images: c.Images.Owed, Gates: c.Containers.Gates,
		Members: func() []gossip.Member {
			return []gossip.Member{{ID: "h", Role: gossip.RoleHead, Alive: true}, {ID: "n", Role: gossip.RoleNode}}
		},
		Logger: slog.New(slog.DiscardHandler),
	}
}

func get(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func TestNumbersOfAHead(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	c.Connected("node-1")
	c.Connected("node-2")
	c.Agent("node-2").Cut(true)
	c.Until("node-2 is seen to be gone", func() bool {
		for _, n := range c.Store.View().Nodes() {
			if n.Name == "node-2" {
				return !c.Nodes.Session(n.ID).Connected
			}
		}
		return false
	})
	m := metrics.New("head-1", "id-1", "v1")
	h := m.Handler(sources(c))
	m.Served(dockerapi.Served{Route: "GET /info", Status: 200, Took: time.Millisecond})
	m.Served(dockerapi.Served{Status: 404})
	m.Served(dockerapi.Served{Route: "POST /containers/{id}/attach", Status: 101, Took: time.Hour})
	m.Proposed(time.Millisecond, nil)
	m.Proposed(time.Millisecond, model.Errorf(model.KindConflict, "the name is taken"))
	m.Proposed(time.Second, model.Errorf(model.KindUnavailable, "no leader"))
	m.Placed(time.Millisecond, nil)
	_, refused := placement.Decide(nil, placement.Request{})
	m.Placed(time.Millisecond, refused)
	m.Placed(time.Millisecond, model.WrapError(model.KindExhausted, &placement.NoNodeError{Decision: placement.Decision{
		Refused: []placement.Count{{Reason: "lack memory", Nodes: 3}},
	}}, "no"))
	m.Placed(time.Millisecond, errors.New("the heads did not agree"))
	text := get(t, h, "/metrics")
	for _, want := range []string{
		`spearhead_head_info{head="head-1",id="id-1",version="v1"} 1`,
		`spearhead_api_requests_total{route="GET /info",status="200"} 1`, `spearhead_api_requests_total{route="none",status="404"} 1`,
		`spearhead_api_requests_total{route="POST /containers/{id}/attach",status="101"} 1`, `spearhead_api_seconds_count{route="GET /info"} 1`,
		`spearhead_raft_proposals_total{outcome="committed"} 1`, `spearhead_raft_proposals_total{outcome="refused"} 1`,
		`spearhead_raft_proposals_total{outcome="unknown"} 1`, "spearhead_raft_commit_seconds_count 2",
		`spearhead_placements_total{outcome="placed"} 1`, `spearhead_placements_total{outcome="no_node"} 2`,
		`spearhead_placements_total{outcome="failed"} 1`, `spearhead_placement_refusals_total{reason="lack memory"} 3`,
		"spearhead_raft_leader 1", "spearhead_raft_has_leader 1", "spearhead_raft_heads 1",
		`spearhead_node_connected{node="node-1"} 1`, `spearhead_node_connected{node="node-2"} 0`,
		`spearhead_node_orphans{node="node-1"} 0`, `spearhead_node_journal_lag_seconds{node="node-1"} `,
		`spearhead_gossip_members{alive="yes",role="head"} 1`, `spearhead_gossip_members{alive="no",role="node"} 1`,
		`spearhead_gate_under_way{gate="streams"} 0`, `spearhead_queue_length{queue="creations"} 0`, `spearhead_queue_length{queue="networks"} 0`, "spearhead_images_copies_lacking 0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
	if strings.Contains(text, `spearhead_api_seconds_count{route="POST /containers/{id}/attach"}`) {
		t.Error("a session counts as an answer that took an hour")
	}
}

func TestTargetsAreThoseThatOthersReach(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	c.AddNode("far", func(i *model.NodeInfo) { i.MetricsAddress = "10.0.0.7:9377" })
	c.AddNode("itself", func(i *model.NodeInfo) { i.MetricsAddress = "127.0.0.1:9377" })
	c.AddNode("silent")
	for id, address := range map[string]string{"a": "head-a.example.org:9376", "b": "[::]:9376", "c": ""} {
		c.Propose(command.PutHead{Head: model.Head{ID: id, Name: "head-" + id, RaftAddress: "10.0.0.1:2380", PeerAddress: "10.0.0.1:2381", MetricsAddress: address}})
	}
	c.Connected("far")
	c.Connected("itself")
	var got []struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	text := get(t, metrics.New("h", "i", "v").Handler(sources(c)), "/targets")
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, g := range got {
		found[g.Labels["role"]+" "+g.Labels["machine"]] = strings.Join(g.Targets, " ")
	}
	want := map[string]string{"head head-a": "head-a.example.org:9376", "node far": "10.0.0.7:9377"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("targets: %s", diff)
	}
}

func TestStatusTellsOfLoopsAndNodes(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	c.Connected("node-1")
	m := metrics.New("head-1", "id-1", "v1")
	began, leave := make(chan struct{}), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Loop(t.Context(), "journals", func(context.Context) {
			close(began)
			<-leave
		})
	}()
	<-began
	s := m.Status(sources(c))
	if s.Head != "head-1" || !s.Loops["journals"].Running || len(s.Nodes) != 1 || s.Nodes[0].Name != "node-1" || !s.Nodes[0].Connected || !s.Nodes[0].Following {
		t.Errorf("status %+v", s)
	}
	if s.Queues["creations"] != 0 || len(s.Queues) < 5 {
		t.Errorf("queues %v", s.Queues)
	}
	if g, ok := s.Gates["requests"]; !ok || g.Limit == 0 {
		t.Errorf("gates %+v", s.Gates)
	}
	close(leave)
	<-ended
	if m.Status(sources(c)).Loops["journals"].Running {
		t.Error("a loop that has ended goes on")
	}
}
