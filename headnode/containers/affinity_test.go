package containers_test

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// ruled asks for a container with labels of the form k=v and rules.
func ruled(name string, labels []string, rules ...string) model.CreateContainer {
	r := request(name)
	r.Spec.Labels = map[string]string{}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		r.Spec.Labels[k] = v
	}
	for _, rule := range rules {
		r.Spec.Env = append(r.Spec.Env, affinity.Variable(rule))
	}
	return r
}

// published is a data center whose nodes all can pull the image by its digest.
func published(t *testing.T, nodes int) *headtest.Center {
	t.Helper()
	c := headtest.New(t, nodes)
	for i := range nodes {
		publish(c, fmt.Sprintf("node-%d", i+1))
	}
	return c
}

func publish(c *headtest.Center, node string) {
	c.Agent(node).Publish("docker.io/library/busybox@"+headtest.Image("busybox").Digest, headtest.Image("busybox"))
}

func nodeName(c *headtest.Center, m model.Container) string {
	n, _ := c.Store.View().Node(m.NodeID)
	return n.Name
}

// change is what an operator does to a node.
func change(c *headtest.Center, name string, f func(*model.Node)) {
	n, _ := c.Store.View().NodeByName(name)
	f(&n)
	c.Propose(command.PutNode{Node: n})
}

// P10: requests that exclude each other are decided one after the other, also
// when they come at once.
func TestRulesHoldAmongRequestsAtOnce(t *testing.T) {
	t.Parallel()
	c := published(t, 3)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	var mu sync.Mutex
	nodes, refused := map[string]int{}, 0
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			m, _, err := c.Containers.Create(headtest.Context(t), a, ruled("", []string{"app=web"}, "app!=web"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				nodes[nodeName(c, m)]++
			case model.IsKind(err, model.KindExhausted) && strings.Contains(model.UserText(err), "3 nodes: 3 are excluded by affinity app!=web"):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if diff := gocmp.Diff(map[string]int{"node-1": 1, "node-2": 1, "node-3": 1}, nodes); diff != "" || refused != 7 {
		t.Errorf("%d refused, and on the nodes: %s", refused, diff)
	}
}

// P1 to P9 of what Triton's users know, and what goes beyond.
func TestAffinities(t *testing.T) {
	t.Parallel()
	c := published(t, 3)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	other := c.Account("jack", model.PolicyTenant)
	pull(t, c, a)
	pull(t, c, other)
	change(c, "node-3", func(n *model.Node) { n.Rack, n.Zone = "r3", "west" })
	db := create(t, c, a, ruled("db", []string{"role=db"}, "node==node-2"))
	create(t, c, other, ruled("theirs", []string{"role=other"}, "node==node-1"))
	if got := nodeName(c, db); got != "node-2" {
		t.Fatalf("the first is on %s", got)
	}
	for i, tc := range []struct {
		rules []string
		want  string // node, or the text of a refusal
	}{
		{[]string{"container==none_*"}, `No compute resources available: no active containers found matching "none_*" for affinity "container==none_*"`},
		{[]string{"role==other"}, `no active containers found matching "other"`}, // another account's
		{[]string{"container==theirs"}, `no active containers found matching "theirs"`},
		{[]string{"container==db"}, "node-2"},
		{[]string{"container==" + db.ID[:12]}, "node-2"},
		{[]string{"container==" + db.ID}, "node-2"},
		{[]string{"role==/^d.$/", "container!=none_*"}, "node-2"},
		{[]string{"container==d*", "node!=node-2"}, "3 nodes: 2 are excluded by affinity container==d*, 1 is excluded by affinity node!=node-2"},
		{[]string{"rack==r3"}, "node-3"},
		{[]string{"zone==~west", "container!=db"}, "node-3"},
		{[]string{"container!=db", "zone!=west"}, "node-1"},
		{[]string{"container==~nobody", "node==node-1"}, "node-1"},
		{[]string{"zone==east"}, "3 nodes: 3 are excluded by affinity zone==east"},
		{[]string{"role=db"}, `invalid affinity "role=db"`},
		{[]string{"x==y"}, "the key"},
		{[]string{"role==/(/"}, "regular expression"},
	} {
		m, _, err := c.Containers.Create(ctx, a, ruled(fmt.Sprint("c", i), nil, tc.rules...))
		got := ""
		if err != nil {
			got = model.UserText(err)
		} else {
			got = nodeName(c, m)
		}
		if !strings.Contains(got, tc.want) {
			t.Errorf("%q: %s, want %s", tc.rules, got, tc.want)
		}
	}
	create(t, c, a, ruled("db2", []string{"role=db"}, "node==node-1"))
	_, _, err := c.Containers.Create(ctx, a, ruled("", nil, "role==db"))
	wantKind(t, err, model.KindExhausted, "are on 2 nodes, and no node holds them all")
	create(t, c, a, ruled("self", []string{"role=self"}, "role!=self"))
}

func TestRulesShowInTheLabelOnly(t *testing.T) {
	t.Parallel()
	c := published(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	r := ruled("web", []string{affinity.Label + `=["app!=web"]`}, "rack!=r1")
	r.Spec.Env = append(r.Spec.Env, "A=1")
	m := create(t, c, a, r)
	if m.Spec.Labels[affinity.Label] != `["app!=web","rack!=r1"]` {
		t.Errorf("labels are %v", m.Spec.Labels)
	}
	for _, e := range m.Spec.Env {
		if strings.HasPrefix(e, "affinity") {
			t.Errorf("the container's environment has %s", e)
		}
	}
	if node := c.Agent("node-1").Spec(m.ID); !gocmp.Equal(node.Env, m.Spec.Env) {
		t.Errorf("the node has %v, the record %v", node.Env, m.Spec.Env)
	}
}

// P11 and P13: nodes that are not to be used are not, and containers are spread
// over the others.
func TestSpreadAndWhatNodesTake(t *testing.T) {
	t.Parallel()
	c := published(t, 6)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	jack := c.Account("jack", model.PolicyTenant)
	pull(t, c, a)
	change(c, "node-1", func(n *model.Node) { n.Cordoned = true })
	change(c, "node-2", func(n *model.Node) { n.Reservoir = true })
	change(c, "node-3", func(n *model.Node) { n.Traits = []string{"ssd"} })
	change(c, "node-4", func(n *model.Node) { n.Owners = []string{jack.ID} })
	change(c, "node-5", func(n *model.Node) { n.MaxContainers = 2 })
	got := map[string]int{}
	for range 6 {
		got[nodeName(c, create(t, c, a, request("")))]++
	}
	if diff := gocmp.Diff(map[string]int{"node-5": 2, "node-6": 4}, got); diff != "" {
		t.Error(diff)
	}
	r := ruled("", []string{"spearhead.traits=ssd"})
	if m := create(t, c, a, r); nodeName(c, m) != "node-3" {
		t.Errorf("a container that wants ssd is on %s", nodeName(c, m))
	}
	_, _, err := c.Containers.Create(ctx, a, ruled("", []string{"spearhead.traits=no spaces"}))
	wantKind(t, err, model.KindInvalid, "spearhead.traits")
	change(c, "node-6", func(n *model.Node) { n.Lost = true })
	if m := create(t, c, a, request("")); nodeName(c, m) != "node-2" {
		t.Errorf("with nothing else left a container is on %s, want the reservoir", nodeName(c, m))
	}
	c.Agent("node-2").Cut(true)
	c.Until("the node is lost", func() bool {
		n, _ := c.Store.View().NodeByName("node-2")
		return !c.Nodes.Connected(n.ID)
	})
	_, _, err = c.Containers.Create(ctx, a, request(""))
	wantKind(t, err, model.KindExhausted, "6 nodes: ", "1 is cordoned", "1 is not connected", "1 has other traits than those asked for",
		"1 is kept for other accounts", "1 has as many containers as they may", "1 is given up as lost")
}

// The same intent again, as when a head that asked the leader lost its answer,
// makes no second container; neither does the same operation of another head.
func TestSameIntentMakesOneContainer(t *testing.T) {
	t.Parallel()
	c := published(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	intent := containers.Intent{Container: model.Container{
		ID: model.NewID(), Name: "web", AccountID: a.ID, Operation: "op", Reserved: model.Resources{Memory: 1 << 20},
	}}
	made := make([]model.Container, 20)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			in := intent
			if i%4 == 0 {
				in.Container.ID, in.Container.Name = model.NewID(), "" // another head's
			}
			in.Container.Name = cmp.Or(in.Container.Name, fmt.Sprint("web", i))
			var err error
			if made[i], err = c.Containers.Reserve(ctx, in); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, m := range made {
		if m.ID != made[0].ID {
			t.Errorf("one operation made %s and %s", made[0].ID, m.ID)
		}
	}
	if n, r := c.Store.View().Holdings(a.ID); n != 1 || r.Memory != 1<<20 {
		t.Errorf("the account holds %d containers and %+v", n, r)
	}
}

func TestExplainReservesNothing(t *testing.T) {
	t.Parallel()
	c := published(t, 3)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, ruled("db", nil, "node==node-1"))
	change(c, "node-2", func(n *model.Node) { n.Cordoned = true })
	before := c.Store.View().Index()
	d, err := c.Containers.Explain(ctx, a, ruled("", nil, "container!=~db"), 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Best) != 2 || d.Best[0].Name != "node-3" || d.Best[0].Score.Apart != 1 || d.Best[1].Score.OnNode != 1 || d.Considered != 3 {
		t.Errorf("explained as %+v", d)
	}
	if len(d.Refused) != 1 || d.Refused[0].Reason != "are cordoned" {
		t.Errorf("refused: %+v", d.Refused)
	}
	r := request("")
	r.Spec.Image = "" // nodes of any platform
	if d, err := c.Containers.Explain(ctx, a, r, 1); err != nil || len(d.Best) != 1 {
		t.Errorf("without an image: %+v, %v", d, err)
	}
	_, err = c.Containers.Explain(ctx, a, ruled("", nil, "rack==r1"), 1)
	wantKind(t, err, model.KindExhausted, "2 are excluded by affinity rack==r1, 1 is cordoned")
	if after := c.Store.View().Index(); after != before {
		t.Errorf("the state went from %d to %d", before, after)
	}
}
