package containers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

func TestCommit(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 3)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	r := request("web")
	r.Spec.Env, r.Spec.Labels = []string{"A=1"}, map[string]string{"own": "yes"}
	web := create(t, c, a, r)
	id, err := c.Containers.Commit(ctx, a, "web", dockerapi.CommitRequest{
		Name: "docker.io/library/mine:v1", Author: "jill", Comment: "first", Changes: []string{`CMD ["httpd", "-f"]`, "ENV B=$A.2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	img, err := c.Images.Get(ctx, a, "mine:v1")
	if err != nil || img.ID != id || img.Author != "jill" || img.Comment != "first" {
		t.Fatalf("image %+v, error %v", img, err)
	}
	want := model.ImageConfig{
		Cmd: []string{"httpd", "-f"}, Env: []string{"PATH=/bin", "LANG=C", "A=1", "B=1.2"},
		Labels: map[string]string{"maker": "tests", "own": "yes"}, ExposedPorts: []string{"80/tcp"},
	}
	if diff := cmp.Diff(want, img.Config); diff != "" {
		t.Error(diff)
	}
	events := c.Store.View().Events(0, 0)
	if last := events[len(events)-1]; last.Action != "tag" || last.ActorID != id || last.Attributes["name"] != "mine:v1" {
		t.Errorf("the last event is %+v", last)
	}
	// No registry has it: other nodes take it from the one that made it, and
	// when that is away, there are no more containers of it.
	nodes := map[string]bool{web.NodeID: true}
	for range 3 {
		m := create(t, c, a, model.CreateContainer{Spec: model.ContainerSpec{Image: "mine:v1"}})
		nodes[m.NodeID] = true
		if held, _ := c.Store.View().Image(id); !slices.Contains(held.Holders, m.NodeID) {
			t.Errorf("a container of the image is on %s, the image on %v", m.NodeID, held.Holders)
		}
	}
	if len(nodes) < 2 {
		t.Error("all containers of the image are on the node that made it")
	}
}

func TestImageWithoutANameIsTheAccountsUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a, other := headtest.Context(t), c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	id, err := c.Containers.Commit(ctx, a, "web", dockerapi.CommitRequest{})
	if err != nil {
		t.Fatal(err)
	}
	c.Images.Sweep(ctx)
	img, err := c.Images.Get(ctx, a, strings.TrimPrefix(id, "sha256:")[:12])
	if err != nil || len(img.Names) != 0 {
		t.Fatalf("names %v, error %v", img.Names, err)
	}
	_, err = c.Images.Get(ctx, other, id)
	wantKind(t, err, model.KindNotFound)
	if list, _ := c.Images.List(ctx, a); len(list) != 2 {
		t.Errorf("%d images are listed", len(list))
	}
	if err := c.Images.Tag(ctx, a, id, "mine", ""); err != nil {
		t.Fatal(err)
	}
	removed, err := c.Images.Remove(ctx, a, "mine", false)
	if diff := cmp.Diff(dockerapi.RemovedImage{Untagged: []string{"mine:latest"}, Deleted: []string{id}}, removed); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, known := c.Store.View().Image(id); known {
		t.Error("the image is still there")
	}
	second, err := c.Containers.Commit(ctx, a, "web", dockerapi.CommitRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if removed, err := c.Images.Remove(ctx, a, second, false); err != nil || len(removed.Untagged) != 0 || len(removed.Deleted) != 1 {
		t.Errorf("removed %+v, error %v", removed, err)
	}
	deleted := 0
	for _, e := range c.Store.View().Events(0, 0) {
		if e.Type == "image" && e.ActorID == second {
			deleted++
			if e.Action != "delete" {
				t.Errorf("event %+v", e)
			}
		}
	}
	if deleted != 1 {
		t.Errorf("%d events of the nameless image", deleted)
	}
}

func TestCommitThatCannotBe(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	_, err := c.Containers.Commit(ctx, a, "web", dockerapi.CommitRequest{Changes: []string{"RUN rm -rf /"}})
	wantKind(t, err, model.KindInvalid, "run is not a valid change command")
	var labels []string
	for i := range 12 {
		labels = append(labels, fmt.Sprintf("LABEL x%d=%s", i, strings.Repeat("y", 50<<10)))
	}
	_, err = c.Containers.Commit(ctx, a, "web", dockerapi.CommitRequest{Changes: labels})
	wantKind(t, err, model.KindTooLarge)
	if images := c.Store.View().Images(); len(images) != 1 {
		t.Errorf("%d images are known", len(images))
	}
}
