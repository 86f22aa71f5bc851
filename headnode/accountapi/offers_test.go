package accountapi_test

import (
	"net/netip"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func TestAccountsSeeWhatIsForThem(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := headtest.Context(t)
	jill, jack := b.join("jill"), b.join("jack")
	for _, p := range []model.Package{
		{Name: "jills", Memory: 1 << 30, Active: true, Owners: []string{jill.account.ID, "another"}, Traits: []string{"secret"}},
		{Name: "jacks", Memory: 1 << 30, Active: true, Owners: []string{jack.account.ID}},
		{Name: "old", Memory: 1 << 30},
	} {
		b.Propose(command.PutPackage{Package: p})
	}
	var names []string
	for _, p := range must(jill.Packages(ctx))(t) {
		names = append(names, p.Name)
		if p.Owners != nil || p.Traits != nil {
			t.Errorf("jill is told for whom and where %s is: %+v", p.Name, p)
		}
	}
	if len(names) != 3 { // small and large of the furniture
		t.Errorf("jill may have %v", names)
	}

	b.Propose(command.PutNetwork{Network: model.Network{
		ID: model.NewID(), Name: "jacks", Kind: model.NetworkExternal, NICTag: "external", Accounts: []string{jack.account.ID},
		Subnet: netip.MustParsePrefix("10.99.0.0/16"), Gateway: netip.MustParseAddr("10.99.0.1"),
		First: netip.MustParseAddr("10.99.0.2"), Last: netip.MustParseAddr("10.99.0.9"),
	}})
	if _, err := b.Networks.CreateNetwork(ctx, jill.account, model.Network{Name: "own"}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, n := range must(jill.Networks(ctx))(t) {
		seen[n.Name] = n.Own
		if len(n.Subnets) == 0 || n.Kind == "" {
			t.Errorf("network %+v", n)
		}
	}
	if own, ok := seen["own"]; !ok || !own {
		t.Errorf("jill's own network is missing: %v", seen)
	}
	if own, ok := seen["external"]; !ok || own {
		t.Errorf("the network of all is missing: %v", seen)
	}
	if _, ok := seen["jacks"]; ok {
		t.Error("jill sees jack's network")
	}
	use := must(jill.Usage(ctx))(t)
	if use.Used.Networks != 1 || use.Used.Containers != 0 {
		t.Errorf("jill uses %+v", use.Used)
	}
}
