package containers_test

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

const (
	id1 = "3b6ea1c4-0d7c-4d6e-9a51-000000000001"
	id2 = "77777777-0d7c-4d6e-9a51-000000000002"
)

func labelled(label, value string) model.CreateContainer {
	r := request("")
	r.Spec.Labels = map[string]string{label: value}
	return r
}

// R1 to R3 and R5 of what Triton's users know.
func TestPackageByLabel(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a, jack := headtest.Context(t), c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, a)
	for _, p := range []model.Package{
		{ID: id1, Name: "g4-1g", Memory: 1 << 30, Active: true},
		{ID: id2, Name: "3b6ea1c4", Memory: 2 << 30, Active: true}, // a name that is another's short id
		{Name: "old", Memory: 1 << 30},
		{Name: "jacks", Memory: 1 << 30, Active: true, Owners: []string{jack.ID}},
		{Name: "jills", Memory: 1 << 30, Active: true, Owners: []string{a.ID, jack.ID}},
		{Name: "gone", Memory: 1 << 30, Active: true},
	} {
		c.Propose(command.PutPackage{Package: p})
	}
	create(t, c, a, labelled(model.LabelPackage, "gone"))
	c.Propose(command.RemovePackage{Name: "gone"})
	for value, want := range map[string]string{
		id1: "g4-1g", strings.ToUpper(id1): "g4-1g", "g4-1g": "g4-1g", "3b6ea1c4": "3b6ea1c4", "77777777": "3b6ea1c4", "jills": "jills",
	} {
		m := create(t, c, a, labelled(model.LabelPackageTriton, value))
		if m.Package != want || m.Spec.Labels[model.LabelPackageTriton] != "" {
			t.Errorf("%s chose %s, labels %v", value, m.Package, m.Spec.Labels)
		}
	}
	for value, why := range map[string]string{
		"old": `no package "old"`, "jacks": `no package "jacks"`, "gone": `no package "gone"`, "nothing": `no package "nothing"`,
		"-x": "invalid value for com.joyent.package", "x-": "invalid value", "a..b": "invalid value", "a b": "invalid value",
		"a\tb": "invalid value", "a☃b": "invalid value", "x": "invalid value",
	} {
		_, _, err := c.Containers.Create(ctx, a, labelled(model.LabelPackageTriton, value))
		wantKind(t, err, model.KindInvalid, why)
	}
	both := labelled(model.LabelPackageTriton, "small")
	both.Spec.Labels[model.LabelPackage], both.Spec.Limits.Memory = "g4-1g", 64<<20
	if m := create(t, c, a, both); m.Package != "g4-1g" || m.Spec.Limits.Memory != 64<<20 {
		t.Errorf("label, other label and -m: package %s, %d bytes", m.Package, m.Spec.Limits.Memory)
	}
	both.Spec.Limits.Memory = 2 << 30
	_, _, err := c.Containers.Create(ctx, a, both)
	wantKind(t, err, model.KindInvalid, "package g4-1g has 1073741824 bytes of memory, less than the 2147483648 asked for")
}

func TestSmallestPackageThatFits(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	for _, p := range []model.Package{
		{Name: "cpu-4g", Family: "highcpu", Memory: 4 << 30, CPUCap: 8000, Active: true},
		{Name: "b-4g", Family: "general", Memory: 4 << 30, CPUCap: 2000, Disk: 40 << 30, Rank: 2, Active: true},
		{Name: "c-4g", Family: "general", Memory: 4 << 30, CPUCap: 2000, Disk: 40 << 30, Rank: 1, Active: true},
		{Name: "a-4g", Family: "general", Memory: 4 << 30, CPUCap: 2000, Disk: 50 << 30, Active: true},
		{Name: "base", Family: "general", Memory: 256 << 20, Disk: 2 << 30, IOWeight: 100, Active: true, Default: true},
	} {
		c.Propose(command.PutPackage{Package: p})
	}
	for _, tc := range []struct {
		l    model.Limits
		want string
	}{
		{model.Limits{}, "base"},
		{model.Limits{Memory: 4 << 30}, "c-4g"},
		{model.Limits{Memory: 3 << 30, CPUQuota: 300_000}, "cpu-4g"}, // only another family holds it
		{model.Limits{Disk: 45 << 30}, "a-4g"},
		{model.Limits{Memory: 1 << 20}, "base"},
	} {
		r := request("")
		r.Spec.Limits = tc.l
		if m := create(t, c, a, r); m.Package != tc.want {
			t.Errorf("%+v chose %s, want %s", tc.l, m.Package, tc.want)
		} else if tc.want == "base" && m.Spec.Limits.BlkioWeight != 100 {
			t.Errorf("I/O weight %d", m.Spec.Limits.BlkioWeight)
		}
	}
	r := request("")
	r.Spec.Limits.Memory = 100 << 30
	_, _, err := c.Containers.Create(ctx, a, r)
	wantKind(t, err, model.KindInvalid, "no package supports the given container constraints: memory=107374182400 bytes")
}

// R6: an account's limits hold also for requests at once, and what was refused
// leaves nothing behind.
func TestLimitsHoldAmongRequestsAtOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		limits model.AccountLimits
		text   string
	}{
		{"containers", model.AccountLimits{Containers: 7}, "may have 7 containers and has 7"},
		{"memory", model.AccountLimits{Memory: 7*128<<20 + 1}, "of memory and has taken 896 MiB"},
		{"disk", model.AccountLimits{Disk: 7 << 30}, "of disk and has taken 7 GiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := headtest.New(t, 1)
			a := c.Account("jill", model.PolicyTenant)
			pull(t, c, a)
			c.Propose(command.SetAccountLimits{AccountID: a.ID, Limits: tc.limits})
			good, refused := createAtOnce(t, c, a, 30, tc.text)
			if n, _ := c.Store.View().Holdings(a.ID); good != 7 || refused != 23 || n != 7 {
				t.Errorf("%d created, %d refused, %d held", good, refused, n)
			}
			promised(t, c)
			jack := c.Account("jack", model.PolicyTenant)
			pull(t, c, jack)
			create(t, c, jack, request("mine"))
		})
	}
}
