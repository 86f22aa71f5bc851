package adminapi_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// oneNode is a data center of one node with an operator's socket.
func oneNode(t *testing.T) (*headtest.Center, *adminapi.Client) {
	t.Helper()
	c := headtest.New(t, 1)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: adminapi.NewHandler(adminapi.Config{
		Store: c.Store, Seen: c.Nodes.Seen, Agent: c.Nodes.Agent, Logger: slog.New(slog.DiscardHandler),
		Findings: func(context.Context) map[string]reconcile.Findings { return nil },
		Load:     func(string) (model.NodeLoad, bool) { return model.NodeLoad{}, false },
		Twin:     func(string) (string, bool) { return "", false },
	})}
	go server.Serve(l)
	client := adminapi.NewClient(socket)
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return c, client
}

// runs makes a container that runs.
func runs(t *testing.T, c *headtest.Center, a model.Account, name string) model.Container {
	t.Helper()
	ctx := headtest.Context(t)
	if _, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	made, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Name: name, Spec: model.ContainerSpec{Image: "busybox"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Containers.Start(ctx, a, made.ID); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestADrainStopsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	c, head := oneNode(t)
	made := runs(t, c, c.Account("jill", model.PolicyTenant), "web")
	on, err := head.DrainNode(t.Context(), "node-1", adminapi.DrainRequest{})
	if err != nil || len(on) != 1 || on[0].Name != "web" || on[0].Account != "jill" || !on[0].Status.Running() {
		t.Fatalf("left are %+v, %v", on, err)
	}
	n, err := head.Node(t.Context(), "node-1")
	if err != nil || !n.Cordoned || n.Containers != 1 {
		t.Errorf("the node is %+v, %v", n, err)
	}
	on, err = head.DrainNode(t.Context(), n.ID[:8], adminapi.DrainRequest{Stop: true, Timeout: 1})
	if err != nil || len(on) != 1 || on[0].Status != model.StatusExited || on[0].Error != "" {
		t.Fatalf("after the stop %+v are left, %v", on, err)
	}
	c.Until("it has ended", func() bool {
		now, _ := c.Store.View().Container(made.ID)
		return now.State.Status == model.StatusExited
	})
	c.Agent("node-1").Cut(true)
	c.Until("the node is gone", func() bool { return !c.Nodes.Connected(n.ID) })
	if on, err = head.DrainNode(t.Context(), "node-1", adminapi.DrainRequest{Stop: true}); err != nil || len(on) != 1 || on[0].Error != "" {
		t.Errorf("what does not run needs no stop: %+v, %v", on, err)
	}
}

func TestANodeWithContainersIsNotRemovedByMistake(t *testing.T) {
	t.Parallel()
	c, head := oneNode(t)
	made := runs(t, c, c.Account("jill", model.PolicyTenant), "web")
	for name, force := range map[string]bool{"with containers": false, "that is not lost": true} {
		if err := head.RemoveNode(t.Context(), "node-1", force); !model.IsKind(err, model.KindConflict) {
			t.Errorf("a node %s was removed: %v", name, err)
		}
	}
	if _, err := head.LoseNode(t.Context(), "node-1", adminapi.LossRequest{}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a node that answers counts as lost: %v", err)
	}
	if on, err := head.LoseNode(t.Context(), "node-1", adminapi.LossRequest{Force: true}); err != nil || len(on) != 1 {
		t.Fatalf("lost with %+v, %v", on, err)
	}
	if err := head.RemoveNode(t.Context(), "node-1", true); err != nil {
		t.Fatal(err)
	}
	if _, there := c.Store.View().Container(made.ID); there {
		t.Error("its container is known still")
	}
	if nodes, err := head.Nodes(t.Context()); err != nil || len(nodes) != 0 {
		t.Errorf("there are %+v, %v", nodes, err)
	}
}

func TestNodesAreNamedInOneWay(t *testing.T) {
	t.Parallel()
	_, head := oneNode(t)
	for _, name := range []string{"nobody", "", "z"} {
		if _, err := head.Node(t.Context(), name); err == nil {
			t.Errorf("there is a node %q", name)
		}
	}
	long := model.NodeChange{SetLabels: map[string]string{"a": string(make([]byte, 1000))}}
	if err := head.ChangeNode(t.Context(), "node-1", long); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("a label without bound: %v", err)
	}
	bad := "nowhere"
	if err := head.ChangeNode(t.Context(), "node-1", model.NodeChange{Address: &bad}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("an address without a port: %v", err)
	}
}
