package accountapi

import (
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// A request that is made again at a head which does not see the first one's rule
// yet makes no second rule.
func TestARuleAskedForTwiceIsOneRule(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	jill := c.Account("jill", model.PolicyTenant)
	before := c.Store.View()
	for range 2 {
		r := model.Rule{AccountID: jill.ID, Text: "FROM any TO all vms ALLOW icmp", Enabled: true, Created: time.Now()}
		r.ID = newRuleID(before, &r)
		c.Propose(command.PutRule{Rule: r})
	}
	if all := c.Store.View().Rules(jill.ID); len(all) != 1 {
		t.Errorf("%d rules", len(all))
	}
	other := model.Rule{AccountID: jill.ID, Text: "FROM any TO all vms ALLOW icmp6", Enabled: true}
	if id := newRuleID(before, &other); id == c.Store.View().Rules(jill.ID)[0].ID {
		t.Errorf("another rule has the id %s too", id)
	}
}
