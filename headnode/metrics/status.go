package metrics

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/gossip"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/headnode/nodes"
	"github.com/spearheadcloud/spearhead/raftstore"
)

// Status is all that a head knows of how it works.
type Status struct {
	Head    string    `json:"head"`
	ID      string    `json:"id"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Time    time.Time `json:"time"` // of this answer

	Raft  raftstore.Stats       `json:"raft"`
	Loops map[string]LoopStatus `json:"loops"` // what a leader does
	Nodes []NodeStatus          `json:"nodes"`
	// Unfinished are containers whose creation has been going on for a while.
	Unfinished []Unfinished               `json:"unfinished"`
	Images     images.Debts               `json:"images"`
	Gates      map[string]containers.Gate `json:"gates"`
	Gossip     []gossip.Member            `json:"gossip"`
}

// LoopStatus says whether a loop runs, and since when or until when it did.
type LoopStatus struct {
	Running bool      `json:"running"`
	Since   time.Time `json:"since"`
}

// NodeStatus is a node as this head sees it.
type NodeStatus struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	nodes.Session
	JournalEpoch string   `json:"journal_epoch"`
	JournalSeq   uint64   `json:"journal_seq"` // committed
	Containers   int      `json:"containers"`
	Orphans      []string `json:"orphans,omitempty"`
	Missing      []string `json:"missing,omitempty"`
}

// Unfinished is a container that is reserved, and not yet there.
type Unfinished struct {
	ID    string    `json:"id"`
	Node  string    `json:"node"`
	Since time.Time `json:"since"`
}

const (
	unfinishedAfter = 5 * time.Second
	maxUnfinished   = 100
)

// Status looks everything up.
func (m *Metrics) Status(s Sources) Status {
	v, now := s.Store.View(), time.Now()
	st := Status{
		Head: m.name, ID: m.id, Version: m.version, Started: m.started, Time: now,
		Raft: s.Store.Stats(), Loops: map[string]LoopStatus{}, Nodes: []NodeStatus{}, Unfinished: []Unfinished{},
		Images: s.Images(), Gates: s.Gates(), Gossip: s.Members(),
	}
	m.mu.Lock()
	for name, l := range m.loops {
		st.Loops[name] = LoopStatus{l.running, l.since}
	}
	m.mu.Unlock()
	for _, n := range v.Nodes() {
		found := s.Findings(n.ID)
		st.Nodes = append(st.Nodes, NodeStatus{
			ID: n.ID, Name: n.Name, Session: s.Session(n.ID), JournalEpoch: n.JournalEpoch, JournalSeq: n.JournalSeq,
			Containers: len(v.ContainersOnNode(n.ID)), Orphans: found.Orphans, Missing: found.Missing,
		})
	}
	for _, c := range v.ReservedContainers() {
		if now.Sub(c.Created) > unfinishedAfter && len(st.Unfinished) < maxUnfinished {
			st.Unfinished = append(st.Unfinished, Unfinished{c.ID, c.NodeID, c.Created})
		}
	}
	return st
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // who asked may have gone
}
