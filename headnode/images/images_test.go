package images_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func pull(t *testing.T, c *headtest.Center, a model.Account, ref string) dockerapi.PullResult {
	t.Helper()
	var seen []string
	res, err := c.Images.Pull(headtest.Context(t), a, dockerapi.PullRequest{Ref: ref}, func(p wire.PullProgress) { seen = append(seen, p.Status) })
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) == 0 {
		t.Error("no progress was told")
	}
	return res
}

func TestFindByEveryName(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	if !pull(t, c, a, "busybox").New || pull(t, c, a, "busybox:latest").New {
		t.Error("New is not told rightly")
	}
	img := headtest.Image("busybox")
	hex := strings.TrimPrefix(img.ID, "sha256:")
	for _, ref := range []string{
		"busybox", "busybox:latest", "docker.io/library/busybox", "busybox@" + img.Digest, "busybox:any@" + img.Digest,
		img.ID, hex, hex[:12], "sha256:" + hex[:50],
	} {
		got, err := c.Images.Get(ctx, a, ref)
		if err != nil || got.ID != img.ID {
			t.Errorf("%s: found %q, error %v", ref, got.ID, err)
		}
	}
	for ref, text := range map[string]string{
		"nginx": "No such image: nginx:latest", "busybox:1": "No such image: busybox:1", "ffffffffffff": "No such image: ffffffffffff",
		strings.Repeat("f", 64): "No such image: " + strings.Repeat("f", 64), "sha256:" + strings.Repeat("f", 64): "No such image: sha256:" + strings.Repeat("f", 64),
	} {
		if _, err := c.Images.Get(ctx, a, ref); !model.IsKind(err, model.KindNotFound) || !strings.HasPrefix(model.UserText(err), text) {
			t.Errorf("%s: error %v", ref, err)
		}
	}
	if _, err := c.Images.Get(ctx, a, "BAD NAME"); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("error %v", err)
	}
}

func TestRemoveByDockersRules(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a, "busybox")
	img := headtest.Image("busybox")
	if err := c.Images.Tag(ctx, a, "busybox", "mine/box", "v1"); err != nil {
		t.Fatal(err)
	}
	made, _, err := c.Containers.Create(ctx, a, model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox"}})
	if err != nil {
		t.Fatal(err)
	}
	conflict := func(ref string, force bool, text string) {
		t.Helper()
		_, err := c.Images.Remove(ctx, a, ref, force)
		if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), text) {
			t.Errorf("remove %s: error %v, want %q", ref, err, text)
		}
	}
	conflict(img.ID, false, "image is referenced in multiple repositories")
	got, err := c.Images.Remove(ctx, a, "mine/box:v1", false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dockerapi.RemovedImage{Untagged: []string{"mine/box:v1"}}, got); diff != "" {
		t.Error(diff)
	}
	conflict("busybox", false, `unable to remove repository reference "busybox:latest" (must force) - container `+model.ShortID(made.ID))
	conflict(img.ID, false, "(must be forced) - image is being used by stopped container")
	if err := c.Containers.Start(ctx, a, made.ID); err != nil {
		t.Fatal(err)
	}
	conflict(img.ID, true, "(cannot be forced) - image is being used by running container")
	if err := c.Containers.Remove(ctx, a, made.ID, wire.RemoveRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	got, err = c.Images.Remove(ctx, a, "busybox", false)
	want := dockerapi.RemovedImage{Untagged: []string{"busybox:latest", "busybox@" + img.Digest}, Deleted: []string{img.ID}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if held, _ := c.Agent("node-1").Images(ctx); len(held) != 0 {
		t.Errorf("the node still holds %v", held)
	}
	if _, ok := c.Store.View().Image(img.ID); ok {
		t.Error("the state still has the image")
	}
}

func TestSharedBytesStayForTheOther(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx := headtest.Context(t)
	jill, jack := c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, jill, "busybox")
	if !pull(t, c, jack, "busybox").New {
		t.Error("jack learns that somebody had the image")
	}
	if _, err := c.Images.Remove(ctx, jill, "busybox", false); err != nil {
		t.Fatal(err)
	}
	if held, _ := c.Agent("node-1").Images(ctx); len(held) != 1 {
		t.Error("jack's image was taken away with jill's name")
	}
	if got, err := c.Images.Get(ctx, jack, "busybox"); err != nil || len(got.Names) != 1 {
		t.Errorf("jack has %+v, error %v", got.Names, err)
	}
}
