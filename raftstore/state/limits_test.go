package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// wantRefused checks the kind of an error and parts of what the user reads.
func wantRefused(t *testing.T, err error, kind model.Kind, parts ...string) {
	t.Helper()
	if !model.IsKind(err, kind) {
		t.Errorf("got %v, want kind %s", err, kind)
		return
	}
	for _, p := range parts {
		if !strings.Contains(model.UserText(err), p) {
			t.Errorf("%q lacks %q", model.UserText(err), p)
		}
	}
}

func TestAccountLimits(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	limit := func(l model.AccountLimits) { j.must(command.SetAccountLimits{AccountID: "account-1", Limits: l}) }
	limit(model.AccountLimits{Containers: 1})
	j.must(reservation(1, "web"))
	wantRefused(t, j.try(reservation(2, "db")), model.KindExhausted, "Quota exceeded: this account may have 1 containers and has 1")
	other := reservation(3, "web")
	other.Container.AccountID = "account-2"
	j.must(other)

	limit(model.AccountLimits{Memory: 19})
	wantRefused(t, j.try(reservation(2, "db")), model.KindExhausted, "may use 19 bytes of memory and has taken 10 bytes, so that another 10 bytes do not fit")
	limit(model.AccountLimits{Memory: 20, CPU: 19})
	wantRefused(t, j.try(reservation(2, "db")), model.KindExhausted, "may use 0.019 CPUs and has taken 0.01")
	uncapped := reservation(2, "db")
	uncapped.Container.Reserved.CPU = 0
	wantRefused(t, j.try(uncapped), model.KindExhausted, "--cpus")
	limit(model.AccountLimits{Disk: 19})
	wantRefused(t, j.try(reservation(2, "db")), model.KindExhausted, "of disk")
	nominal := reservation(2, "db") // on storage that holds nothing to its size
	nominal.Container.Reserved.Disk, nominal.Container.Spec.Limits.Disk = 0, 10
	wantRefused(t, j.try(nominal), model.KindExhausted, "of disk")

	limit(model.AccountLimits{Memory: 20, CPU: 20, Disk: 20, Containers: 2})
	j.must(reservation(2, "db"))
	limit(model.AccountLimits{Containers: model.NoneAllowed})
	wantRefused(t, j.try(reservation(4, "new")), model.KindExhausted, "may have no containers; ask the operator")
	if n, r := j.View().Holdings("account-1"); n != 2 || r.Memory != 20 {
		t.Errorf("the account holds %d and %+v", n, r)
	}
	wantRefused(t, j.try(command.SetAccountLimits{AccountID: "account-1", Limits: model.AccountLimits{Images: -2}}), model.KindInvalid)
	wantRefused(t, j.try(command.SetAccountLimits{AccountID: "nobody"}), model.KindNotFound)
}

func TestLimitsHoldForMoreThanContainers(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(reservation(1, "web"))
	limit := func(l model.AccountLimits) { j.must(command.SetAccountLimits{AccountID: "account-1", Limits: l}) }
	limit(model.AccountLimits{Memory: 15, Volumes: 1, Disk: 30, Networks: 1, Images: 1})

	grow := reservation(1, "web").Container
	grow.Spec.Limits.Memory = 10
	j.must(entries("e", entry(1, reservation(1, "web"), model.ActionCreate)))
	wantRefused(t, j.try(command.ReserveUpdate{ID: grow.ID, Operation: "u", Before: model.Limits{}, Needs: model.Resources{Memory: 16}, Time: epoch}),
		model.KindExhausted, "of memory")

	volume := func(n int, size int64) command.CreateVolume {
		return command.CreateVolume{Volume: model.Volume{ID: fmt.Sprint("v", n), Name: fmt.Sprint("vol", n), AccountID: "account-1", Driver: "local", Size: size}}
	}
	wantRefused(t, j.try(volume(1, 21)), model.KindExhausted, "of disk")
	j.must(volume(1, 20))
	wantRefused(t, j.try(volume(2, 0)), model.KindExhausted, "1 volumes")
	wantRefused(t, j.try(command.SetVolumeSize{ID: "v1", Before: 20, Size: 21}), model.KindExhausted, "of disk")

	own := func(n int) command.PutNetwork {
		c := testNetwork(n)
		c.Network.AccountID, c.Network.Kind, c.Network.Default = "account-1", model.NetworkFabric, false
		c.Network.VNI = uint32(n)
		return c
	}
	j.must(own(5))
	j.must(own(5)) // the same again is no other
	wantRefused(t, j.try(own(6)), model.KindExhausted, "1 networks")

	image := func(name string) command.PutImage {
		return command.PutImage{
			Image: model.Image{ID: "sha256:1", Holders: []string{"node-1"}}, Action: command.ActionPull, Time: epoch,
			Name: model.ImageName{AccountID: "account-1", Ref: name, ImageID: "sha256:1"},
		}
	}
	j.must(image("docker.io/library/a:1"), image("docker.io/library/a:1"))
	wantRefused(t, j.try(image("docker.io/library/b:1")), model.KindExhausted, "1 images")
	if used := j.View().Used("account-1"); used != (model.AccountLimits{Containers: 1, Memory: 10, CPU: 10, Disk: 30, Networks: 1, Volumes: 1, Images: 1}) {
		t.Errorf("used: %+v", used)
	}
}

func TestPackageInUseKeepsItsSizes(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	small := model.Package{ID: "id-1", Name: "small", Memory: 10, Active: true, Default: true}
	j.must(command.PutPackage{Package: small})
	r := reservation(1, "web")
	r.Container.Package = "small"
	j.must(r)
	larger := small
	larger.Memory = 20
	wantRefused(t, j.try(command.PutPackage{Package: larger}), model.KindConflict, "1 containers have the package small")
	renamed := small
	renamed.Family, renamed.ID, renamed.Active = "general", "", false
	j.must(command.PutPackage{Package: renamed})
	if p, _ := j.View().Package("small"); p.ID != "id-1" || p.Family != "general" || p.Active {
		t.Errorf("after a change that concerns no container: %+v", p)
	}
	wantRefused(t, j.try(command.PutPackage{Package: model.Package{Name: "twin", ID: "id-1", Memory: 1}}), model.KindConflict, "id-1")
	wantRefused(t, j.try(command.PutPackage{Package: model.Package{Name: "odd", Memory: 1, IOWeight: 5}}), model.KindInvalid, "io_weight")

	j.must(command.RemovePackage{Name: "small"})
	if p, ok := j.View().Package("small"); !ok || !p.Removed || p.OfferedTo("account-1") {
		t.Errorf("a package that a container has: %+v, %v", p, ok)
	}
	j.must(command.ReleaseContainer{ID: r.Container.ID})
	if p, ok := j.View().Package("small"); ok {
		t.Errorf("a removed package that nobody has: %+v", p)
	}
	wantRefused(t, j.try(command.RemovePackage{Name: "small"}), model.KindNotFound)
	j.must(command.PutPackage{Package: larger}, command.RemovePackage{Name: "small"})
}

// What changes of a container, or where it is, leaves it its package, also one
// that was removed and that nobody else has.
func TestARemovedPackageStaysWithItsLastContainer(t *testing.T) {
	t.Parallel()
	j, id := movable(t)
	r := reservation(1, "web")
	update := func(op, pkg string) {
		c, _ := j.View().Container(id)
		j.must(command.ReserveUpdate{ID: id, Operation: op, Package: pkg, Before: c.Spec.Limits, Needs: c.Reserved, Time: epoch}, j.updated(r, op, c.Spec.Limits))
	}
	there := func(name string) bool {
		_, ok := j.View().Package(name)
		return ok
	}
	for _, name := range []string{"old", "older"} {
		j.must(command.PutPackage{Package: model.Package{Name: name, Memory: 10, Active: true}})
	}
	update("u1", "older")
	update("u2", "old")
	j.must(command.RemovePackage{Name: "old"})
	update("u3", "old")
	if !there("old") {
		t.Fatal("an update forgot the package")
	}
	j.must(move(id, 1))
	if c, _ := j.View().Container(id); c.Package != "old" || c.NodeID != "node-2" || !there("old") {
		t.Fatalf("a move forgot the package of %+v", c)
	}
	j.must(ranOn("node-2", 1, "create", "destroy"))
	if there("old") || !there("older") {
		t.Errorf("after its last container: old %t, older, which was not removed, %t", there("old"), there("older"))
	}
}

// A container that outgrows a removed package may have been its last one.
func TestARemovedPackageGoesWhenItsLastContainerHasAnother(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(command.PutPackage{Package: model.Package{Name: "small", Memory: 10, Active: true}})
	r := reservation(1, "web")
	r.Container.Package = "small"
	j.must(r, entries("e", entry(j.seq(), r, "create")), command.RemovePackage{Name: "small"})
	c, _ := j.View().Container(r.Container.ID)
	j.must(command.ReserveUpdate{ID: c.ID, Operation: "u1", Package: "big", Before: c.Spec.Limits, Needs: c.Reserved, Time: epoch}, j.updated(r, "u1", c.Spec.Limits))
	if p, ok := j.View().Package("small"); ok {
		t.Errorf("a removed package that nobody has: %+v", p)
	}
}

// The first packages come once, and take nothing from an operator who was
// quicker, or who has changed or removed them since.
func TestPackagesAreSeededOnce(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	first := command.SeedPackages{Packages: []model.Package{
		{ID: "1", Name: "g1", Memory: 1, Active: true}, {ID: "2", Name: "g2", Memory: 2, Active: true, Default: true}, {ID: "3", Name: "g3", Memory: 3, Active: true},
	}}
	j.must(command.PutPackage{Package: model.Package{ID: "own", Name: "g1", Memory: 7, Active: true, Default: true}})
	if j.View().PackagesSeeded() {
		t.Error("an operator's package counts as seed")
	}
	packages := func() (text string) {
		for _, p := range j.View().Packages() {
			text += fmt.Sprintf("%s=%d/%t ", p.Name, p.Memory, p.Default)
		}
		return text
	}
	j.must(first)
	if got := packages(); got != "g1=7/true g2=2/false g3=3/false " || !j.View().PackagesSeeded() {
		t.Errorf("seeded: %s", got)
	}
	j.must(command.RemovePackage{Name: "g3"}, command.PutPackage{Package: model.Package{Name: "g2", Memory: 9, Active: true, Default: true}}, first)
	if got := packages(); got != "g1=7/false g2=9/true " {
		t.Errorf("seeded twice: %s", got)
	}
}

func TestRulesAreCheckedAgain(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(testNode(2, 100), reservation(1, "web"))
	r := reservation(2, "web2")
	r.Rules = []string{"app!=x"}
	wantRefused(t, j.try(r), model.KindConflict, `affinity "app!=x"`)
	r.Container.NodeID = "node-2"
	j.must(r)
	near := reservation(3, "near")
	near.Rules = []string{"container==web2"}
	wantRefused(t, j.try(near), model.KindConflict)
	near.Container.NodeID, near.Rules = "node-2", append(near.Rules, "app==~nothing", "node!=n1")
	j.must(near)
	gone := reservation(4, "gone")
	gone.Rules = []string{"container==nobody"}
	wantRefused(t, j.try(gone), model.KindExhausted, "no active containers")

	for name, change := range map[string]func(*model.Node){
		"cordoned":  func(n *model.Node) { n.Cordoned = true },
		"lost":      func(n *model.Node) { n.Lost = true },
		"of others": func(n *model.Node) { n.Owners = []string{"account-2"} },
		"full":      func(n *model.Node) { n.MaxContainers = 1 },
	} {
		other := testNode(1, 100)
		change(&other.Node)
		j.must(other)
		if err := j.try(reservation(5, "late")); err == nil {
			t.Errorf("a node that is %s took a container", name)
		}
	}
}

// Whoever follows the nodes by what has changed sees what whoever reads all of
// them sees.
func TestChangesOfNodesAreComplete(t *testing.T) {
	t.Parallel()
	type seen struct {
		node     model.Node
		promised model.Resources
		count    int
	}
	look := func(v *View, id string) seen {
		n, _ := v.Node(id)
		return seen{n, v.Promised(id), v.PromisedTo(id)}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := New()
		followed, at := map[string]string{}, uint64(0)
		var index uint64
		step := func(c command.Command) {
			index++
			_ = apply(t, s, index, c) // a refusal changes nothing
			if rapid.Bool().Draw(t, "wait") {
				return
			}
			v := s.View()
			ids, known := v.NodesChanged(at)
			if !known {
				clear(followed)
				for _, n := range v.Nodes() {
					ids = append(ids, n.ID)
				}
			}
			for _, id := range ids {
				followed[id] = fmt.Sprintf("%+v", look(v, id))
			}
			at = index
			for _, n := range v.Nodes() {
				if want := fmt.Sprintf("%+v", look(v, n.ID)); followed[n.ID] != want {
					t.Fatalf("%T: node %s is followed as %s, and is %s", c, n.ID, followed[n.ID], want)
				}
			}
			if len(followed) != len(v.Nodes()) {
				t.Fatalf("%d nodes are followed of %d", len(followed), len(v.Nodes()))
			}
		}
		step(testAccount(1))
		step(testNode(1, 4))
		step(testNode(2, 4))
		for range rapid.IntRange(0, 30).Draw(t, "length") {
			step(randomCommand(t))
		}
	})
	s := New()
	if err := apply(t, s, 7, testNode(1, 4)); err != nil {
		t.Fatal(err)
	}
	if ids, known := s.View().NodesChanged(6); !known || !slices.Equal(ids, []string{"node-1"}) {
		t.Errorf("changed since 6: %v, %v", ids, known)
	}
	if ids, known := s.View().NodesChanged(7); !known || len(ids) > 0 {
		t.Errorf("changed since 7: %v, %v", ids, known)
	}
}
