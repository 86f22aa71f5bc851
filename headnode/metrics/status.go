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
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Status is all that a head knows of how it works.
type Status struct {
	Head    string    `json:"head"`
	ID      string    `json:"id"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Time    time.Time `json:"time"` // of this answer

	Raft  raftstore.Stats       `json:"raft"`
	Loops map[string]LoopStatus `json:"loops"` // what goes on, much of it on the leader only
	Nodes []NodeStatus          `json:"nodes"`
	// Queues are how much waits to be done, by kind; see queues.
	Queues map[string]int `json:"queues"`
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
		Raft: s.Store.Stats(), Loops: map[string]LoopStatus{}, Nodes: []NodeStatus{}, Queues: queues(v), Unfinished: []Unfinished{},
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

// queues counts what the heads have begun and not ended: containers that are
// being created, updated, moved to other nodes or transferred between two, those
// whose nodes have yet to hear of their networks or to remove former copies, and
// volumes whose nodes may still hold what is gone.
func queues(v *state.View) map[string]int {
	return map[string]int{
		"creations": len(v.ReservedContainers()), "updates": len(v.UpdatedContainers()), "moves": len(v.MovingContainers()),
		"transfers": len(v.TransferredContainers()), "networks": len(v.RewiredContainers()), "copies": len(v.FormerContainers()),
		"volumes": len(v.UntidyVolumes()),
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // who asked may have gone
}
