package adminapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (s *server) networks(*http.Request) ([]model.Network, error) {
	return values(s.Store.View().Networks()), nil
}

func (s *server) putNetwork(r *http.Request) (model.Network, error) {
	n, err := decode[model.Network](r)
	if err != nil {
		return n, err
	}
	if n.ID == "" {
		n.ID = model.NewID()
		if known, ok := s.Store.View().NetworkOfAccount(n.AccountID, n.Name); ok {
			n.ID = known.ID
		}
	}
	for i, login := range n.Accounts { // operators name them by their logins
		a, ok := s.Store.View().AccountByLogin(login)
		if !ok {
			return n, model.Errorf(model.KindNotFound, "no account %q", login)
		}
		n.Accounts[i] = a.ID
	}
	n = ipam.Complete(n)
	if err := ipam.Validate(n); err != nil {
		return n, err
	}
	_, err = s.Store.Propose(r.Context(), command.PutNetwork{Network: n})
	return n, err
}

// removeNetwork removes a network that belongs to no account, by its name.
func (s *server) removeNetwork(r *http.Request) (none, error) {
	n, ok := s.Store.View().NetworkByName(r.PathValue("name"))
	if !ok {
		return none{}, model.Errorf(model.KindNotFound, "no network %.64q of the data center; list them with: spearhead network ls", r.PathValue("name"))
	}
	_, err := s.Store.Propose(r.Context(), command.RemoveNetwork{ID: n.ID, Time: time.Now().UTC()})
	return none{}, err
}

// RemoveNetwork removes a network that belongs to no account; KindForbidden
// while containers are on it.
func (c *Client) RemoveNetwork(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/networks/"+url.PathEscape(name), nil, nil)
}
