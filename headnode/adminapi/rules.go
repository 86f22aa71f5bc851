package adminapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// RuleStatus is a firewall rule and whose it is.
type RuleStatus struct {
	model.Rule
	Login string `json:"login,omitempty"` // "" is of every account
}

func (s *server) ruleRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/rules", answer(s, s.rules))
	mux.HandleFunc("POST /v1/rules", answer(s, s.createRule))
	mux.HandleFunc("PATCH /v1/rules/{id}", answer(s, s.changeRule))
	mux.HandleFunc("DELETE /v1/rules/{id}", answer(s, s.removeRule))
}

func (s *server) rules(*http.Request) ([]RuleStatus, error) {
	v := s.Store.View()
	all := []RuleStatus{}
	for _, r := range v.AllRules() {
		a, _ := v.Account(r.AccountID)
		all = append(all, RuleStatus{*r, a.Login})
	}
	slices.SortFunc(all, func(a, b RuleStatus) int { return a.Created.Compare(b.Created) })
	return all, nil
}

func (s *server) createRule(r *http.Request) (RuleStatus, error) {
	in, err := decode[RuleStatus](r)
	if err != nil {
		return in, err
	}
	in.AccountID = ""
	if in.Login != "" {
		a, ok := s.Store.View().AccountByLogin(in.Login)
		if !ok {
			return in, model.Errorf(model.KindNotFound, "no account %q", in.Login)
		}
		in.AccountID = a.ID
	}
	in.ID, in.Created = model.NewID()[:ruleID], time.Now().UTC()
	_, err = s.Store.Propose(r.Context(), command.PutRule{Rule: in.Rule})
	return in, err
}

// ruleID is the length of a rule's id.
const ruleID = 12

// rule finds the rule that a request names by its id or the beginning of it.
func (s *server) rule(r *http.Request) (model.Rule, error) {
	id := r.PathValue("id")
	var found []*model.Rule
	for _, rule := range s.Store.View().AllRules() {
		if strings.HasPrefix(rule.ID, id) {
			found = append(found, rule)
		}
	}
	switch len(found) {
	case 1:
		return *found[0], nil
	case 0:
		return model.Rule{}, model.Errorf(model.KindNotFound, "no firewall rule %.64s; list them with: spearhead fwrule ls", id)
	}
	return model.Rule{}, model.Errorf(model.KindConflict, "%d firewall rules begin with %.64s; write more of the id", len(found), id)
}

func (s *server) changeRule(r *http.Request) (model.Rule, error) {
	rule, err := s.rule(r)
	if err != nil {
		return rule, err
	}
	in, err := decode[model.RuleChange](r)
	if err != nil {
		return rule, err
	}
	rule = in.Of(rule)
	_, err = s.Store.Propose(r.Context(), command.PutRule{Rule: rule})
	return rule, err
}

func (s *server) removeRule(r *http.Request) (none, error) {
	rule, err := s.rule(r)
	if err != nil {
		return none{}, err
	}
	_, err = s.Store.Propose(r.Context(), command.RemoveRule{ID: rule.ID})
	return none{}, err
}

// Rules lists all firewall rules, the oldest first.
func (c *Client) Rules(ctx context.Context) ([]RuleStatus, error) {
	return ask[[]RuleStatus](ctx, c, http.MethodGet, "/v1/rules", nil)
}

// CreateRule adds a firewall rule of an account, or of all if login is empty.
// KindInvalid says what of the text cannot be read.
func (c *Client) CreateRule(ctx context.Context, login string, r model.Rule) (RuleStatus, error) {
	return ask[RuleStatus](ctx, c, http.MethodPost, "/v1/rules", RuleStatus{r, login})
}

// ChangeRule changes a rule, which is named by its id or the beginning of it.
func (c *Client) ChangeRule(ctx context.Context, id string, change model.RuleChange) (model.Rule, error) {
	return ask[model.Rule](ctx, c, http.MethodPatch, "/v1/rules/"+url.PathEscape(id), change)
}

// RemoveRule removes a rule, which is named as in ChangeRule.
func (c *Client) RemoveRule(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/rules/"+url.PathEscape(id), nil, nil)
}
