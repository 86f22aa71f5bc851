package state

import (
	"github.com/spearheadcloud/spearhead/raftstore/tables"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/fwrule"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// tableRules holds firewall rules.
const tableRules = "rules"

// maxRules bounds the rules of one account, and those of every account.
const maxRules = 1000

func rulesTable() *tables.Table {
	return table(tableRules,
		unique(indexID, func(r *model.Rule) []string { return []string{r.ID} }),
		many(indexAccount, func(r *model.Rule) [][]byte { return [][]byte{key(r.AccountID)} }))
}

func (t *transaction) putRule(cmd command.PutRule) error {
	r := cmd.Rule
	if err := checkKey("id of the rule", r.ID); err != nil {
		return err
	}
	if _, err := fwrule.Parse(r.Text); err != nil {
		return err
	}
	old, ok := t.Rule(r.ID)
	if ok && old.AccountID != r.AccountID {
		return model.Errorf(model.KindConflict, "the firewall rule %s is another account's", r.ID)
	}
	if err := t.checkRuleCount(r.AccountID, ok); err != nil {
		return err
	}
	t.touchRules(r.AccountID)
	return t.insert(tableRules, &r)
}

// checkRuleCount refuses a rule of an account that is not there, or has as many
// as it may have. One that is replaced adds none.
func (t *transaction) checkRuleCount(accountID string, replaces bool) error {
	have, most := len(t.Rules(accountID)), model.Unlimited
	if accountID != "" {
		a, err := t.account(accountID)
		if err != nil {
			return err
		}
		most = a.Limits.Rules
	}
	if replaces {
		return nil
	}
	if have >= maxRules {
		return model.Errorf(model.KindExhausted, "there are %d firewall rules, and that is the most; remove one", maxRules)
	}
	return checkCount(most, int64(have), "firewall rules")
}

func (t *transaction) removeRule(cmd command.RemoveRule) error {
	r, ok := t.Rule(cmd.ID)
	if !ok {
		return model.Errorf(model.KindNotFound, "no firewall rule %s; list them with: spearhead fwrule ls", cmd.ID)
	}
	t.touchRules(r.AccountID)
	return t.delete(tableRules, &r)
}

// touchRules notes that the rules of an account change, or those of all.
func (t *transaction) touchRules(accountID string) {
	if accountID != "" {
		t.touch(accountID)
		return
	}
	for _, a := range t.Accounts() {
		t.touch(a.ID)
	}
}

// removeRulesOf removes the rules of an account that goes.
func (t *transaction) removeRulesOf(accountID string) error {
	for _, r := range t.Rules(accountID) {
		if err := t.delete(tableRules, r); err != nil {
			return err
		}
	}
	return nil
}

// Rules lists the firewall rules of an account; "" are those of every account.
func (v *View) Rules(accountID string) []*model.Rule {
	return match[model.Rule](v.txn, tableRules, indexAccount, accountID)
}

// AllRules lists all firewall rules.
func (v *View) AllRules() []*model.Rule { return list[model.Rule](v.txn, tableRules) }

// Rule finds a firewall rule by id.
func (v *View) Rule(id string) (model.Rule, bool) {
	return first[model.Rule](v.txn, tableRules, indexID, id)
}
