package images_test

import (
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// TestImagesGoWhereStorageIsWell pulls beside a node whose storage fails, and finds none when
// all fail; the registries are asked all the same.
func TestImagesGoWhereStorageIsWell(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	img := headtest.Image("busybox")
	for _, fault := range []model.StorageFault{model.StorageSilent, model.StorageSuspended, model.StorageFull} {
		c.Tell("node-1", model.NodeLoad{Storage: fault})
		for range 3 {
			pull(t, c, a, "busybox")
			if held := holders(c, img.ID); !slices.Equal(held, []string{"node-2"}) {
				t.Fatalf("with a node whose storage %s, %v hold the image", fault, held)
			}
			if _, err := c.Images.Remove(ctx, a, "busybox", false); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Tell("node-2", model.NodeLoad{Storage: model.StorageSilent})
	_, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {})
	if !model.IsKind(err, model.KindExhausted) {
		t.Errorf("with storage that fails everywhere: %v", err)
	}
	if _, err := c.Images.Resolve(ctx, a, headtest.Busybox, wire.RegistryAuth{}); err != nil {
		t.Errorf("a registry is not asked: %v", err)
	}
}

// TestCopiesAreNotMadeWhereStorageFails has a third node take the copy that one with a fault
// would have got.
func TestCopiesAreNotMadeWhereStorageFails(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 3)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a, "busybox")
	id := headtest.Image("busybox").ID
	first := holders(c, id)[0]
	others := slices.DeleteFunc(slices.Clone(threeNodes), func(name string) bool { return name == first })
	const space = 1 << 40
	c.Tell(others[0], model.NodeLoad{Storage: model.StorageSilent, Free: model.Resources{Disk: 2 * space}})
	c.Tell(others[1], model.NodeLoad{Free: model.Resources{Disk: space}})
	spread(t, c)
	c.Until("the node that is well holds it", func() bool { return slices.Contains(holders(c, id), others[1]) })
	if really(t, c, id, others[0]) != 0 {
		t.Error("it was copied to storage that fails")
	}
}
