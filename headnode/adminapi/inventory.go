package adminapi

import (
	"net/http"

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
	n = ipam.Complete(n)
	if err := ipam.Validate(n); err != nil {
		return n, err
	}
	_, err = s.Store.Propose(r.Context(), command.PutNetwork{Network: n})
	return n, err
}
