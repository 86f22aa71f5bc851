package dockerapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

// Served tells of a request that was answered.
type Served struct {
	Route  compat.Route // "" for one that the API does not have
	Status int          // of HTTP; 101 for a connection that became a stream
	// Took is from the request's beginning until its answer had been written,
	// or until its stream ended.
	Took time.Duration
}

// served tells of a request that has been answered, and writes into the log
// who changed what, by the id that leads to what was done for it elsewhere.
func (s *server) served(c *call, w *response, began time.Time) {
	done := Served{Route: c.route, Status: w.status, Took: s.now().Sub(began)}
	switch {
	case w.hijacked:
		done.Status = http.StatusSwitchingProtocols
	case done.Status == 0:
		done.Status = http.StatusOK
	}
	if s.Served != nil {
		s.Served(done)
	}
	if c.account.ID == "" && done.Status != http.StatusServiceUnavailable || c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		return
	}
	s.Logger.InfoContext(c.ctx(), "request", slog.String("op", string(c.route)), slog.String("path", fmt.Sprintf("%.200s", c.r.URL.Path)),
		slog.String("account", c.account.Login), slog.Int("status", done.Status), slog.Duration("took", done.Took))
}
