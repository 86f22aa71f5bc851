package adminapi

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
)

// HeadStatus is a head as the one that was asked sees it.
type HeadStatus struct {
	model.Head
	Role string `json:"role"` // leader, voter or joining
	// Lag is how many entries of the log it lacks, and Contact when it last
	// answered; only the leader knows both of others: elsewhere, and of one that
	// has not answered since it leads, Lag is negative and Contact zero.
	Lag     int64     `json:"lag"`
	Contact time.Time `json:"contact"`
}

func (s *server) heads(*http.Request) ([]HeadStatus, error) {
	stats := s.Store.Stats()
	out := []HeadStatus{}
	known := map[string]bool{}
	for _, h := range s.Store.View().Heads() {
		known[h.ID] = true
		out = append(out, headStatus(*h, stats, s.ID))
	}
	for _, h := range stats.Heads { // one that votes and has not said yet who it is
		if !known[h.ID] {
			out = append(out, headStatus(model.Head{ID: h.ID, RaftAddress: h.Address}, stats, s.ID))
		}
	}
	slices.SortStableFunc(out, func(a, b HeadStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func headStatus(h model.Head, stats raftstore.Stats, self string) HeadStatus {
	status := HeadStatus{Head: h, Role: "joining", Lag: -1}
	for _, r := range stats.Heads {
		if r.ID != h.ID {
			continue
		}
		if r.Voter {
			status.Role = "voter"
		}
		if stats.Leader == self && !r.Contact.IsZero() {
			status.Lag, status.Contact = int64(r.Lag), r.Contact
		}
	}
	if h.ID == stats.Leader {
		status.Role = "leader"
	}
	if h.ID == self {
		status.Lag = int64(stats.LastIndex) - int64(min(stats.AppliedIndex, stats.LastIndex))
	}
	return status
}

func (s *server) removeHead(r *http.Request) (none, error) {
	name := r.PathValue("name")
	heads, err := s.heads(r)
	if err != nil {
		return none{}, err
	}
	var ids []string
	for _, h := range heads {
		if h.Name == name || strings.HasPrefix(h.ID, name) {
			ids = append(ids, h.ID)
		}
	}
	switch len(ids) {
	case 1:
		return none{}, s.RemoveHead(r.Context(), ids[0])
	case 0:
		return none{}, model.Errorf(model.KindNotFound, "there is no head %s; see spearhead head ls", name)
	}
	return none{}, model.Errorf(model.KindInvalid, "%d heads are called %s, or have ids that begin so; write more of the id", len(ids), name)
}

// backup sends all that the data center knows.
func (s *server) backup(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", backupError)
	if err := s.Backup(r.Context(), w); err != nil {
		w.Header().Set(backupError, model.UserText(err))
	}
}

// backupError is the trailer that tells of a backup that broke off.
const backupError = "Spearhead-Error"

func (s *server) restore(r *http.Request) (none, error) {
	if !s.Store.IsLeader() {
		return none{}, model.Errorf(model.KindConflict, "a backup is restored on the head that leads, which is %s", cmp.Or(s.leaderName(), "none at the moment"))
	}
	return none{}, s.Restore(r.Context(), r.Body)
}

func (s *server) leaderName() string {
	id, _ := s.Store.Leader()
	h, ok := s.Store.View().Head(id)
	if !ok {
		return id
	}
	return h.Name
}

// Heads lists the heads as the one that is asked sees them.
func (c *Client) Heads(ctx context.Context) ([]HeadStatus, error) {
	return ask[[]HeadStatus](ctx, c, http.MethodGet, "/v1/heads", nil)
}

// RemoveHead takes a head out for good, by its name or the beginning of its
// id. KindConflict for one without which the others could not agree.
func (c *Client) RemoveHead(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/heads/"+url.PathEscape(name), nil, nil)
}

// Backup copies all that the data center knows to w, its secrets included.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, "/v1/backup", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return model.WrapError(model.KindUnavailable, err, "the backup broke off")
	}
	if text := resp.Trailer.Get(backupError); text != "" {
		return model.Errorf(model.KindUnavailable, "the backup broke off: %s", text)
	}
	return nil
}

// Restore replaces what the data center knows by what Backup has written. The
// head must be the one that leads: KindConflict names it.
func (c *Client) Restore(ctx context.Context, r io.Reader) error {
	resp, err := c.send(ctx, http.MethodPost, "/v1/restore", r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
