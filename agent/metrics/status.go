package metrics

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Status is how a node works, for operators.
type Status struct {
	Node       string    `json:"node"`
	Version    string    `json:"version"`
	Started    time.Time `json:"started"`
	Time       time.Time `json:"time"` // of this answer
	Containers int       `json:"containers"`
	Running    int       `json:"running"`
	JournalSeq uint64    `json:"journal_seq"` // the newest entry in the journal
	// Supervisor is the process that holds the containers.
	Supervisor Supervisor `json:"supervisor"`
}

// Supervisor is what the supervisor of containers answers.
type Supervisor struct {
	Up        bool `json:"up"`
	Processes int  `json:"processes"`
}

// status looks everything up but what containers use.
func (m *Metrics) status(ctx context.Context, n Node) Status {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	s := Status{Node: m.name, Version: m.version, Started: m.started, Time: time.Now(), JournalSeq: n.JournalSeq()}
	for _, c := range n.Metered() {
		s.Containers++
		if c.Running {
			s.Running++
		}
	}
	processes, err := n.Supervised(ctx)
	s.Supervisor = Supervisor{Up: err == nil, Processes: processes}
	return s
}

func (m *Metrics) serveStatus(n Node) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(m.status(r.Context(), n)) // who asked may have gone
	}
}
