package accountapi_test

import (
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

const ping = "FROM any TO all vms ALLOW icmp"

func TestAccountsWriteTheirOwnRules(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := headtest.Context(t)
	jill, jack := b.join("jill"), b.join("jack")
	made := must(jill.CreateRule(ctx, accountapi.NewRule{Text: ping, Description: "for monitoring"}))(t)
	stored, ok := b.Store.View().Rule(made.ID)
	if !ok || stored.AccountID != jill.account.ID || stored.Text != ping || !stored.Enabled {
		t.Fatalf("the data center holds %+v", stored)
	}
	if again := must(jill.CreateRule(ctx, accountapi.NewRule{Text: ping, Description: "for monitoring"}))(t); again.ID != made.ID {
		t.Errorf("the same again made another rule, %s", again.ID)
	}
	off, text := false, "FROM any TO all vms BLOCK icmp PRIORITY 49"
	if err := jill.ChangeRule(ctx, made.ID[:6], model.RuleChange{Text: &text, Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	if r := must(jill.Rule(ctx, made.ID))(t); r.Text != text || r.Enabled || r.Description != "for monitoring" {
		t.Errorf("after a change: %+v", r)
	}
	other := must(jill.CreateRule(ctx, accountapi.NewRule{Text: ping, Description: "for monitoring"}))(t)
	if other.ID == made.ID {
		t.Error("a new rule replaced one that has changed since")
	}

	_, err := jack.Rule(ctx, made.ID)
	wantKind(t, err, model.KindNotFound, "no firewall rule")
	wantKind(t, jack.ChangeRule(ctx, made.ID, model.RuleChange{Enabled: &off}), model.KindNotFound, "no firewall rule")
	wantKind(t, jack.RemoveRule(ctx, made.ID), model.KindNotFound, "no firewall rule")
	if all := must(jack.Rules(ctx))(t); all == nil || len(all) != 0 {
		t.Errorf("jack sees %+v", all)
	}
	if err := jill.RemoveRule(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	if all := must(jill.Rules(ctx))(t); len(all) != 1 || all[0].ID != other.ID {
		t.Errorf("after a removal jill has %+v", all)
	}
}

func TestOperatorsRulesHoldAgainstAccounts(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := headtest.Context(t)
	jill := b.join("jill")
	for _, r := range []model.Rule{
		{ID: "everybodys", Text: "FROM any TO all vms BLOCK tcp PORT 25 PRIORITY 100"},
		{ID: "above", AccountID: jill.account.ID, Text: "FROM any TO all vms BLOCK udp PORT all PRIORITY 50"},
		{ID: "beside", AccountID: jill.account.ID, Text: "FROM any TO all vms ALLOW udp PORT 53"},
	} {
		r.Enabled, r.Created = true, time.Now()
		b.Propose(command.PutRule{Rule: r})
	}
	all := must(jill.Rules(ctx))(t)
	if len(all) != 2 || all[0].ID != "above" || !all[0].Fixed || all[1].Fixed {
		t.Errorf("jill sees %+v", all)
	}
	off := false
	wantKind(t, jill.ChangeRule(ctx, "above", model.RuleChange{Enabled: &off}), model.KindForbidden, "operator's")
	wantKind(t, jill.RemoveRule(ctx, "above"), model.KindForbidden, "operator's")
	wantKind(t, jill.RemoveRule(ctx, "everybodys"), model.KindNotFound, "no firewall rule")
	_, err := jill.CreateRule(ctx, accountapi.NewRule{Text: ping + " PRIORITY 50"})
	wantKind(t, err, model.KindForbidden, "0 to 49")
	high := ping + " PRIORITY 100"
	wantKind(t, jill.ChangeRule(ctx, "beside", model.RuleChange{Text: &high}), model.KindForbidden, "0 to 49")
	if err := jill.RemoveRule(ctx, "beside"); err != nil {
		t.Error(err)
	}
	_, err = jill.CreateRule(ctx, accountapi.NewRule{Text: "FROM everywhere"})
	wantKind(t, err, model.KindInvalid, "")
	_, err = jill.CreateRule(ctx, accountapi.NewRule{Text: ping, Description: "two\nlines"})
	wantKind(t, err, model.KindInvalid, "description")
}

// A limit holds for requests at the same time, and a request that is made twice
// makes one rule.
func TestRulesAreCountedExactly(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := headtest.Context(t)
	jill := b.join("jill")
	b.Propose(command.SetAccountLimits{AccountID: jill.account.ID, Limits: model.AccountLimits{Rules: 3}})
	var asking sync.WaitGroup
	for i := range 12 {
		asking.Go(func() {
			text := []string{ping, ping, "FROM any TO all vms ALLOW tcp PORT 1", "FROM any TO all vms ALLOW tcp PORT 2", "FROM any TO all vms ALLOW tcp PORT 3", "FROM any TO all vms ALLOW tcp PORT 4"}[i%6]
			if _, err := jill.CreateRule(ctx, accountapi.NewRule{Text: text}); err != nil && !model.IsKind(err, model.KindExhausted) {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	all, texts := must(jill.Rules(ctx))(t), map[string]bool{}
	for _, r := range all {
		texts[r.Text] = true
	}
	if len(all) != 3 || len(texts) != 3 {
		t.Errorf("of at most 3 different rules there are %+v", all)
	}
	use := must(jill.Usage(ctx))(t)
	if use.Used.Rules != 3 || use.Limits.Rules != 3 {
		t.Errorf("shown are %d of %d", use.Used.Rules, use.Limits.Rules)
	}
	_, err := jill.CreateRule(ctx, accountapi.NewRule{Text: "FROM any TO all vms ALLOW tcp PORT 5"})
	wantKind(t, err, model.KindExhausted, "may have 3 firewall rules and has 3")
}
