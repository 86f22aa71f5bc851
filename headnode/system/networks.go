package system

import (
	"context"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
)

var _ dockerapi.Networks = (*Service)(nil)

// Networks implements dockerapi.Networks: those that belong to the account or
// to nobody.
func (s *Service) Networks(_ context.Context, a model.Account) ([]model.Network, error) {
	var usable []model.Network
	for _, n := range s.c.Store.View().Networks() {
		if n.AccountID == "" || n.AccountID == a.ID {
			usable = append(usable, *n)
		}
	}
	return usable, nil
}
