package containers_test

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
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

// What is asked for chooses the package or is refused with its name; nothing of
// it is taken and not done.
func TestWhatIsAskedForIsHadOrRefused(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	c.Propose(command.PutPackage{Package: model.Package{Name: "plain", Memory: 64 << 20, Active: true}})
	limited := func(pkg string, l model.Limits) model.CreateContainer {
		r := request("")
		r.Spec.Limits, r.Spec.Labels = l, map[string]string{model.LabelPackage: pkg}
		return r
	}
	for _, tc := range []struct {
		pkg  string
		l    model.Limits
		text string
	}{
		{"", model.Limits{CPUShares: 129}, "package small has 128 CPU shares, fewer than the 129 asked for"},
		{"plain", model.Limits{CPUShares: 1025}, "package plain has 1024 CPU shares"},
		{"small", model.Limits{MemoryReservation: 200 << 20}, "package small has 134217728 bytes of memory, less than the 209715200 asked for"},
		{"", model.Limits{MemoryReservation: 2 << 30}, "no package supports the given container constraints: memory=2147483648 bytes"},
		{"", model.Limits{Memory: 64 << 20, Pids: 5000}, "package large allows 4096 processes, fewer than the 5000 asked for"},
		{"", model.Limits{Memory: 64 << 20, MemorySwap: 8 << 30}, "package large has 1073741824 bytes of swap beside memory"},
	} {
		_, _, err := c.Containers.Create(ctx, a, limited(tc.pkg, tc.l))
		wantKind(t, err, model.KindInvalid, tc.text)
	}
	m := create(t, c, a, limited("", model.Limits{MemoryReservation: 200 << 20}))
	if l := m.Spec.Limits; m.Package != "large" || l.Memory != 1<<30 || l.MemoryReservation != 200<<20 {
		t.Errorf("200 MiB to be reserved are had by package %s, %+v", m.Package, l)
	}
	m, warnings, err := c.Containers.Create(ctx, a, limited("small", model.Limits{Pids: -1}))
	if err != nil || m.Spec.Limits.Pids != 1024 || len(warnings) != 1 || !strings.Contains(warnings[0], "package small bounds them at 1024") {
		t.Errorf("any number of processes: %d, %q, %v", m.Spec.Limits.Pids, warnings, err)
	}
	for _, name := range []string{"small", "large", "plain"} {
		c.Propose(command.RemovePackage{Name: name})
	}
	_, _, err = c.Containers.Create(ctx, a, request(""))
	wantKind(t, err, model.KindInvalid, "no package is offered to this account")
}

// An image is somebody else's: it does not say how large a container is.
func TestImagesChooseNoPackage(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	for value, label := range map[string]string{"large": model.LabelPackage, "nosuch": model.LabelPackageTriton} {
		name := "docker.io/library/" + value + ":v1"
		if _, err := c.Containers.Commit(ctx, a, "web", dockerapi.CommitRequest{Name: name, Changes: []string{"LABEL " + label + "=" + value}}); err != nil {
			t.Fatal(err)
		}
		r := request("")
		r.Spec.Image = value + ":v1"
		if m := create(t, c, a, r); m.Package != "small" || m.Spec.Labels[label] != "" {
			t.Errorf("an image with %s=%s chose %s, labels %v", label, value, m.Package, m.Spec.Labels)
		}
	}
}

// A disk size is of use only where it is held, unlike a package's, which is
// only as good as the node.
func TestADiskSizeNeedsANodeThatHoldsIt(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 0)
	c.AddNode("plain", func(i *model.NodeInfo) { i.DiskQuota = false })
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	sized := request("")
	sized.Spec.Limits.Disk = 1 << 20
	_, _, err := c.Containers.Create(ctx, a, sized)
	wantKind(t, err, model.KindInvalid, `HostConfig.StorageOpt["size"]: no node of the data center can hold a container to a disk size`)
	create(t, c, a, request(""))
	c.AddNode("zfs")
	for range 3 {
		m := create(t, c, a, sized)
		if n, _ := c.Store.View().Node(m.NodeID); n.Name != "zfs" {
			t.Errorf("a container with a disk size is on %s", n.Name)
		}
	}
	for _, n := range c.Store.View().Nodes() {
		if n.Name == "zfs" {
			away := *n // rows are shared
			away.Cordoned = true
			c.Propose(command.PutNode{Node: away})
		}
	}
	_, _, err = c.Containers.Create(ctx, a, sized)
	wantKind(t, err, model.KindExhausted, "1 cannot hold containers to a disk size")
}
