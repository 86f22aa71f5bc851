package images_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

// TestConflictsOfRemoval is Docker's table: by id or by name, under a running or
// a stopped container, forced or not.
func TestConflictsOfRemoval(t *testing.T) {
	t.Parallel()
	img := headtest.Image("busybox")
	untagged := []string{"busybox:latest", "busybox@" + img.Digest}
	for _, c := range []struct {
		byID, running, force bool
		conflict             string // "" is none
		removed              dockerapi.RemovedImage
		left                 int // images that the account has then
	}{
		{false, false, false, "(must force) - container ", dockerapi.RemovedImage{}, 1},
		{false, true, false, "(must force) - container ", dockerapi.RemovedImage{}, 1},
		{false, false, true, "", dockerapi.RemovedImage{Untagged: untagged, Deleted: []string{img.ID}}, 0},
		{false, true, true, "", dockerapi.RemovedImage{Untagged: untagged}, 1},
		{true, false, false, "(must be forced) - image is being used by stopped container ", dockerapi.RemovedImage{}, 1},
		{true, true, false, "(cannot be forced) - image is being used by running container ", dockerapi.RemovedImage{}, 1},
		{true, false, true, "", dockerapi.RemovedImage{Untagged: untagged, Deleted: []string{img.ID}}, 0},
		{true, true, true, "(cannot be forced) - image is being used by running container ", dockerapi.RemovedImage{}, 1},
	} {
		center := headtest.New(t, 1)
		ctx, a := headtest.Context(t), center.Account("jill", model.PolicyTenant)
		pull(t, center, a, "busybox")
		made, _, err := center.Containers.Create(ctx, a, model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox"}})
		if err != nil {
			t.Fatal(err)
		}
		if c.running {
			if err := center.Containers.Start(ctx, a, made.ID); err != nil {
				t.Fatal(err)
			}
		}
		ref := "busybox"
		if c.byID {
			ref = img.ID
		}
		removed, err := center.Images.Remove(ctx, a, ref, c.force)
		if c.conflict == "" && err != nil || c.conflict != "" && (!model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), c.conflict)) {
			t.Errorf("%+v: error %v", c, err)
		}
		if diff := cmp.Diff(c.removed, removed); diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
		if left, _ := center.Images.List(ctx, a); len(left) != c.left {
			t.Errorf("%+v: the account has %d images", c, len(left))
		}
		if held, _ := center.Agent("node-1").Images(ctx); len(held) != 1 {
			t.Errorf("%+v: the container's node holds %d images", c, len(held))
		}
	}
}

// TestNamesThatMove: what a name meant before stays, without a name, until it
// is pruned.
func TestNamesThatMove(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a, "busybox")
	old := headtest.Image("busybox")
	c.Agent("node-1").Publish(headtest.Busybox, headtest.Image("newer"))
	if !pull(t, c, a, "busybox").New {
		t.Error("another image is not told as new")
	}
	got, err := c.Images.Get(ctx, a, old.ID)
	if err != nil || len(got.Names) != 0 {
		t.Fatalf("the old image: %+v, error %v", got.Names, err)
	}
	if err := c.Images.Tag(ctx, a, old.ID, "kept", ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Images.Tag(ctx, a, "busybox", "kept", ""); err != nil {
		t.Fatal(err)
	}
	dangling := func(i dockerapi.Image) bool { return len(i.Names) == 0 }
	removed, _, err := c.Images.PruneImages(ctx, a, dangling)
	if diff := cmp.Diff([]dockerapi.RemovedImage{{Deleted: []string{old.ID}}}, removed); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if all, _ := c.Images.List(ctx, a); len(all) != 1 || len(all[0].Names) != 2 {
		t.Errorf("left are %+v", all)
	}
	if held, _ := c.Agent("node-1").Images(ctx); len(held) != 1 {
		t.Errorf("the node holds %v", held)
	}
}
