package adminapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// AccountUse is what an account may have and what it has.
type AccountUse struct {
	Limits model.AccountLimits `json:"limits"`
	Used   model.AccountLimits `json:"used"`
}

// LimitChange changes limits of an account. Only what is set changes.
type LimitChange struct {
	Containers *int64 `json:"containers,omitempty"`
	Memory     *int64 `json:"memory,omitempty"` // bytes
	CPU        *int64 `json:"cpu,omitempty"`    // thousandths of a core
	Disk       *int64 `json:"disk,omitempty"`   // bytes
	Networks   *int64 `json:"networks,omitempty"`
	Volumes    *int64 `json:"volumes,omitempty"`
	Images     *int64 `json:"images,omitempty"`
	Rules      *int64 `json:"rules,omitempty"` // of firewalls
}

func (l LimitChange) apply(to model.AccountLimits) model.AccountLimits {
	for _, f := range []struct {
		from *int64
		to   *int64
	}{
		{l.Containers, &to.Containers}, {l.Memory, &to.Memory}, {l.CPU, &to.CPU}, {l.Disk, &to.Disk},
		{l.Networks, &to.Networks}, {l.Volumes, &to.Volumes}, {l.Images, &to.Images},
		{l.Rules, &to.Rules},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return to
}

func (s *server) limits(r *http.Request) (AccountUse, error) {
	a, err := s.account(r)
	if err != nil {
		return AccountUse{}, err
	}
	return useOf(s.Store.View(), a.ID), nil
}

func (s *server) changeLimits(r *http.Request) (AccountUse, error) {
	a, err := s.account(r)
	if err != nil {
		return AccountUse{}, err
	}
	change, err := decode[LimitChange](r)
	if err != nil {
		return AccountUse{}, err
	}
	if _, err := s.Store.Propose(r.Context(), command.SetAccountLimits{AccountID: a.ID, Limits: change.apply(a.Limits)}); err != nil {
		return AccountUse{}, err
	}
	return useOf(s.Store.View(), a.ID), nil
}

func useOf(v *state.View, accountID string) AccountUse {
	a, _ := v.Account(accountID)
	return AccountUse{Limits: a.Limits, Used: v.Used(accountID)}
}

// Limits tells what an account may have, and what it has.
func (c *Client) Limits(ctx context.Context, login string) (AccountUse, error) {
	return ask[AccountUse](ctx, c, http.MethodGet, "/v1/accounts/"+url.PathEscape(login)+"/limits", nil)
}

// ChangeLimits changes what an account may have. What it has beyond that
// stays, and nothing is added to it.
func (c *Client) ChangeLimits(ctx context.Context, login string, change LimitChange) (AccountUse, error) {
	return ask[AccountUse](ctx, c, http.MethodPatch, "/v1/accounts/"+url.PathEscape(login)+"/limits", change)
}
