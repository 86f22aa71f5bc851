package images_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

// layered is an image of layers by name, each of a size of its own.
func layered(name string, layers map[string]int64, order ...string) model.Image {
	img := headtest.Image(name)
	img.History = []model.ImageHistory{{EmptyLayer: true, CreatedBy: "ENV"}}
	img.Size = 0
	for _, layer := range order {
		img.DiffIDs = append(img.DiffIDs, "sha256:"+layer)
		img.History = append(img.History, model.ImageHistory{Size: layers[layer]})
		img.Size += layers[layer]
	}
	return img
}

func TestPruneReclaimsWhatNoImageNeedsAnyMore(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a, other := headtest.Context(t), c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	sizes := map[string]int64{"base": 1000, "used": 1, "first": 20, "second": 300}
	for name, img := range map[string]model.Image{
		"used": layered("used", sizes, "base", "used"), "first": layered("first", sizes, "base", "first"), "second": layered("second", sizes, "base", "first", "second"),
	} {
		c.Agent("node-1").Publish("docker.io/library/"+name+":latest", img)
		pull(t, c, a, name)
	}
	pull(t, c, other, "first")
	if _, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Spec: model.ContainerSpec{Image: "used"}}); err != nil {
		t.Fatal(err)
	}
	removed, reclaimed, err := c.Images.PruneImages(ctx, a, func(i dockerapi.Image) bool { return len(i.Names) == 0 })
	if err != nil || len(removed) != 0 || reclaimed != 0 {
		t.Errorf("without a nameless image: removed %v, reclaimed %d, error %v", removed, reclaimed, err)
	}
	removed, reclaimed, err = c.Images.PruneImages(ctx, a, func(dockerapi.Image) bool { return true })
	if err != nil || reclaimed != 320 {
		t.Errorf("reclaimed %d, error %v", reclaimed, err)
	}
	var gone []string
	for _, r := range removed {
		gone = append(gone, r.Deleted...)
	}
	want := []string{headtest.Image("first").ID, headtest.Image("second").ID}
	slices.Sort(gone)
	slices.Sort(want)
	if diff := cmp.Diff(want, gone); diff != "" {
		t.Error(diff)
	}
	if left, _ := c.Images.List(ctx, a); len(left) != 1 {
		t.Errorf("%d images are left", len(left))
	}
	if _, err := c.Images.Get(ctx, other, "first"); err != nil {
		t.Errorf("another account's image: %v", err)
	}
	if held, _ := c.Agent("node-1").Images(ctx); len(held) != 2 {
		t.Errorf("the node holds %v", held)
	}
	var reclaims []string
	for _, e := range c.Store.View().Events(0, 0) {
		if e.Type == "image" && e.Action == "prune" {
			reclaims = append(reclaims, e.AccountID+" "+e.Attributes["reclaimed"])
		}
	}
	if diff := cmp.Diff([]string{a.ID + " 0", a.ID + " 320"}, reclaims); diff != "" {
		t.Error(diff)
	}
}

func TestPruneTakesNamelessImages(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a, "busybox")
	if _, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Name: "web", Spec: model.ContainerSpec{Image: "busybox"}}); err != nil {
		t.Fatal(err)
	}
	id, err := c.Containers.Commit(ctx, a, "web", dockerapi.CommitRequest{})
	if err != nil {
		t.Fatal(err)
	}
	removed, reclaimed, err := c.Images.PruneImages(ctx, a, func(i dockerapi.Image) bool { return len(i.Names) == 0 })
	if diff := cmp.Diff([]dockerapi.RemovedImage{{Deleted: []string{id}}}, removed); diff != "" || reclaimed != 1<<10 || err != nil {
		t.Errorf("%s reclaimed %d, error %v", diff, reclaimed, err)
	}
}
