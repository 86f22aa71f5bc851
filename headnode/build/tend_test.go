package build

import (
	"context"
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// builderNodes are the nodes of a center, all of which tell of the same builders.
type builderNodes struct {
	*headtest.Center
	tell   []wire.BuilderInfo
	forgot []string // accounts
}

func (b *builderNodes) Connected(nodeID string) bool { return b.Nodes.Connected(nodeID) }
func (b *builderNodes) Agent(nodeID string) wire.Agent {
	return builderNode{b.Nodes.Agent(nodeID), b}
}

type builderNode struct {
	wire.Agent
	of *builderNodes
}

func (n builderNode) ListBuilders(context.Context) ([]wire.BuilderInfo, error) { return n.of.tell, nil }

func (n builderNode) EndBuilder(_ context.Context, r wire.EndBuilderRequest) error {
	if r.Forget {
		n.of.forgot = append(n.of.forgot, r.AccountID)
	}
	return nil
}

// TestBuildersMemoryIsPromisedWhileTheyRun has a builder that is asked for, runs
// and ends, and nodes that are too full for it.
func TestBuildersMemoryIsPromisedWhileTheyRun(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	nodes := &builderNodes{Center: c}
	s := New(Config{Store: c.Store, Agents: nodes})
	a := c.Account("ann", model.PolicyTenant)
	pkg, err := defaultPackage(c.Store.View())
	if err != nil {
		t.Fatal(err)
	}
	home, err := s.home(t.Context(), a, pkg)
	if err != nil {
		t.Fatal(err)
	}
	promised := func(nodeID string) int64 { return c.Store.View().Promised(nodeID).Memory }
	if got := promised(home.NodeID); got != pkg.Memory {
		t.Errorf("its home has promised %d bytes, want %d", got, pkg.Memory)
	}
	for _, step := range []struct {
		runs bool
		want int64
	}{{true, pkg.Memory}, {false, 0}, {true, pkg.Memory}, {false, 0}} {
		nodes.tell = []wire.BuilderInfo{{AccountID: a.ID, Runs: step.runs}}
		if err := s.tend(t.Context(), home.NodeID); err != nil {
			t.Fatal(err)
		}
		if got := promised(home.NodeID); got != step.want {
			t.Errorf("with a builder that runs: %t, %d bytes are promised, want %d", step.runs, got, step.want)
		}
	}
	// A home that is full is left for a node that is not.
	v := c.Store.View()
	n, _ := v.Node(home.NodeID)
	other := c.Account("bob", model.PolicyTenant)
	c.Propose(command.PutBuilder{Builder: model.Builder{AccountID: other.ID, NodeID: n.ID, Memory: n.Info.Capacity.Memory}})
	next, err := s.home(t.Context(), a, pkg)
	if err != nil {
		t.Fatal(err)
	}
	if next.NodeID == home.NodeID || promised(next.NodeID) != pkg.Memory {
		t.Errorf("with its home full it builds on %s, which has promised %d bytes", next.NodeID, promised(next.NodeID))
	}
}

// TestCachesOfWhoIsGoneAreForgotten has an account that builds elsewhere, and one
// that was removed.
func TestCachesOfWhoIsGoneAreForgotten(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	nodes := &builderNodes{Center: c}
	s := New(Config{Store: c.Store, Agents: nodes})
	pkg, err := defaultPackage(c.Store.View())
	if err != nil {
		t.Fatal(err)
	}
	stays, goes := c.Account("ann", model.PolicyTenant), c.Account("bob", model.PolicyTenant)
	home, err := s.home(t.Context(), stays, pkg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.home(t.Context(), goes, pkg); err != nil {
		t.Fatal(err)
	}
	c.Propose(command.RemoveAccount{ID: goes.ID})
	nodes.tell = []wire.BuilderInfo{{AccountID: stays.ID, Runs: true}, {AccountID: goes.ID}}
	if err := s.tend(t.Context(), home.NodeID); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(nodes.forgot, []string{goes.ID}) {
		t.Errorf("at home, the caches of %q were forgotten", nodes.forgot)
	}
	nodes.forgot = nil
	for _, n := range c.Store.View().Nodes() {
		if n.ID == home.NodeID {
			continue
		}
		if err := s.tend(t.Context(), n.ID); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(nodes.forgot, []string{stays.ID, goes.ID}) {
		t.Errorf("elsewhere, the caches of %q were forgotten", nodes.forgot)
	}
}
