package accountapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/fwrule"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// maxDescription bounds what a rule says to people, in bytes.
const maxDescription = 1024

// ruleID is the length of a rule's id.
const ruleID = 12

func shown(r *model.Rule) Rule {
	return Rule{ID: r.ID, Text: r.Text, Enabled: r.Enabled, Description: r.Description, Created: r.Created, Fixed: fixed(r.Text)}
}

// fixed tells rules that only operators may write and change.
func fixed(text string) bool {
	r, err := fwrule.Parse(text)
	return err == nil && r.Priority > fwrule.MaxAccountPriority
}

func (s *server) rules(c *call) (any, error) {
	all := []Rule{}
	for _, r := range s.Store.View().Rules(c.account.ID) {
		all = append(all, shown(r))
	}
	slices.SortFunc(all, func(a, b Rule) int { return a.Created.Compare(b.Created) })
	return all, nil
}

// rule finds the account's rule that a request names by its id or the beginning
// of it.
func (s *server) rule(c *call) (model.Rule, error) {
	id := c.PathValue("id")
	var found []*model.Rule
	for _, r := range s.Store.View().Rules(c.account.ID) {
		if strings.HasPrefix(r.ID, id) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return *found[0], nil
	case 0:
		return model.Rule{}, model.Errorf(model.KindNotFound, "no firewall rule %.64s; list yours with: spearhead fwrule ls", id)
	}
	return model.Rule{}, model.Errorf(model.KindConflict, "%d firewall rules begin with %.64s; write more of the id", len(found), id)
}

// ownRule is one that the account may change.
func (s *server) ownRule(c *call) (model.Rule, error) {
	r, err := s.rule(c)
	if err == nil && fixed(r.Text) {
		err = model.Errorf(model.KindForbidden, "the firewall rule %s is your operator's: rules with a priority above %d are theirs to change", r.ID, fwrule.MaxAccountPriority)
	}
	return r, err
}

func (s *server) oneRule(c *call) (any, error) {
	r, err := s.rule(c)
	return shown(&r), err
}

// createRule adds a rule. One that says the same is there already if the
// request is made again after a head has died; it is the answer then.
func (s *server) createRule(c *call) (any, error) {
	in, err := decode[NewRule](c)
	if err != nil {
		return nil, err
	}
	r := model.Rule{
		AccountID: c.account.ID, Text: in.Text, Enabled: !in.Disabled, Description: in.Description, Created: time.Now().UTC(),
	}
	if err := checkRule(&r); err != nil {
		return nil, err
	}
	v := s.Store.View()
	for _, old := range v.Rules(c.account.ID) {
		if old.Text == r.Text && old.Enabled == r.Enabled && old.Description == r.Description {
			return shown(old), nil
		}
	}
	r.ID = newRuleID(v, &r)
	_, err = s.Store.Propose(c.Context(), command.PutRule{Rule: r})
	return shown(&r), err
}

// newRuleID follows from what the rule says, so that a request and its
// repetition at another head, which may not see the first one's rule yet, make
// one rule and not two.
func newRuleID(v *state.View, r *model.Rule) string {
	for n := 0; ; n++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %t %d %q %q", r.AccountID, r.Enabled, n, r.Text, r.Description))
		id := hex.EncodeToString(sum[:])[:ruleID]
		if _, taken := v.Rule(id); !taken {
			return id
		}
	}
}

func (s *server) changeRule(c *call) (any, error) {
	old, err := s.ownRule(c)
	if err != nil {
		return nil, err
	}
	change, err := decode[model.RuleChange](c)
	if err != nil {
		return nil, err
	}
	r := change.Of(old)
	if err := checkRule(&r); err != nil {
		return nil, err
	}
	_, err = s.Store.Propose(c.Context(), command.PutRule{Rule: r})
	return shown(&r), err
}

func (s *server) removeRule(c *call) (any, error) {
	r, err := s.ownRule(c)
	if err == nil {
		_, err = s.Store.Propose(c.Context(), command.RemoveRule{ID: r.ID})
	}
	return nil, err
}

// checkRule refuses what an account may not write: who writes PRIORITY 50 or
// more decides over those that write less.
func checkRule(r *model.Rule) error {
	parsed, err := fwrule.Parse(r.Text)
	if err != nil {
		return err
	}
	if parsed.Priority > fwrule.MaxAccountPriority {
		return model.Errorf(model.KindForbidden, "PRIORITY %d is your operator's: your own rules have one from 0 to %d", parsed.Priority, fwrule.MaxAccountPriority)
	}
	if len(r.Description) > maxDescription || !utf8.ValidString(r.Description) || strings.ContainsFunc(r.Description, unicode.IsControl) {
		return model.Errorf(model.KindInvalid, "the description is longer than %d bytes, or is not plain text on one line", maxDescription)
	}
	return nil
}
