package networks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestAccountsRulesAreAboutTheirOwn containers, which have the labels and the
// addresses of another account's: what one writes opens and closes nothing of
// the other's.
func TestAccountsRulesAreAboutTheirOwn(t *testing.T) {
	t.Parallel()
	shared := setting.Shared(t)
	own := unique(t)
	const subnet, web = "10.77.5.0/24", "10.77.5.10"
	accounts := []*bed.Bed{shared.Tenant(t, "rules-jill"), shared.Tenant(t, "rules-jack")}
	for _, b := range accounts {
		network(t, b, "--subnet", subnet, own)
		serve(t, b, own+"-web", "--network", own, "--ip", web, "--label", "role=web", "-e", "affinity:node==node-1")
		serve(t, b, own+"-ask", "--network", own, "--label", "role=ask", "-e", "affinity:node==node-2")
	}
	jill, jack := accounts[0], accounts[1]
	reads := func(b *bed.Bed, want bool) {
		t.Helper()
		bed.Eventually(t, func() error {
			if page, ok := get(t, b, own+"-ask", web); ok != want {
				return fmt.Errorf("what asks reads %q, %t, want %t", page, ok, want)
			}
			return nil
		})
	}
	reads(jill, true)
	reads(jack, true)
	must := func(b *bed.Bed, args ...string) string {
		t.Helper()
		out, err := b.Own(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	refused := func(b *bed.Bed, want string, args ...string) {
		t.Helper()
		if _, err := b.Own(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("spearhead %s: %v; want %q", strings.Join(args, " "), err, want)
		}
	}
	id := must(jill, "fwrule", "create", "FROM tag role = ask TO tag role = web BLOCK tcp PORT 80", "--description", "a test's")
	reads(jill, false)
	reads(jack, true)
	if again := must(jill, "fwrule", "create", "FROM tag role = ask TO tag role = web BLOCK tcp PORT 80", "--description", "a test's"); again != id {
		t.Errorf("the same again made the rule %s beside %s", again, id)
	}
	refused(jack, "no firewall rule", "fwrule", "rm", id)
	refused(jack, "0 to 49", "fwrule", "create", "FROM any TO all vms ALLOW icmp PRIORITY 50")
	refused(jack, "its own account, rules-jack", "fwrule", "create", "--account", "rules-jill", "FROM any TO all vms ALLOW icmp")
	if out := must(jack, "fwrule", "ls"); strings.Contains(out, id) {
		t.Errorf("jack sees jill's rule: %s", out)
	}
	must(jack, "fwrule", "create", fmt.Sprintf("FROM any TO (all vms OR ip %s) ALLOW tcp PORT all PRIORITY 49", web))
	reads(jill, false) // jack's rule names an address that jill has, too
	must(jill, "fwrule", "disable", id)
	reads(jill, true)
	must(jill, "fwrule", "enable", id)
	reads(jill, false)
	shared.Operator(t, "fwrule", "create", "--account", "rules-jill", "FROM tag role = ask TO tag role = web ALLOW tcp PORT 80 PRIORITY 50")
	reads(jill, true) // an operator's word comes first
	out := must(jill, "fwrule", "ls")
	fixed := strings.Fields(strings.Split(out, "\n")[2])[0]
	refused(jill, "operator's", "fwrule", "rm", fixed)
	if out := must(jill, "usage"); !strings.Contains(out, "rules") {
		t.Errorf("usage: %s", out)
	}
	if out := must(jack, "network", "ls"); strings.Count(out, own) != 1 {
		t.Errorf("jack's networks: %s", out)
	}
}
