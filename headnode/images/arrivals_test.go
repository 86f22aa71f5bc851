package images_test

import (
	"io"
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

// TestSweepsLeaveNodesThatAreSentTo holds that what a node may just have taken
// out of an archive is not removed from it before it has its name.
func TestSweepsLeaveNodesThatAreSentTo(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, jill := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, jill, "busybox")
	held := func() bool {
		ids, err := c.Agent("node-1").Images(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(ids, headtest.Image("busybox").ID)
	}
	archive, sender := io.Pipe()
	loaded := make(chan error, 1)
	go func() {
		loaded <- c.Images.Load(ctx, jill, dockerapi.LoadRequest{}, archive, func(dockerapi.LoadStep) {})
	}()
	if _, err := sender.Write([]byte("[")); err != nil { // returns when the node reads
		t.Fatal(err)
	}
	if _, err := c.Images.Remove(ctx, jill, "busybox", false); err != nil {
		t.Fatal(err)
	}
	if !held() {
		t.Error("an image was removed from a node while an archive was being sent to it")
	}
	if _, err := sender.Write([]byte("]")); err != nil {
		t.Fatal(err)
	}
	sender.Close()
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	c.Images.Sweep(ctx)
	if held() {
		t.Error("the image stays although nobody sends any more")
	}
}
