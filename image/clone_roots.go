package image

import (
	"context"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/image/delta"
	"github.com/spearheadcloud/spearhead/model"
)

// cloneRoots are roots that are clones of an image's last layer. One command
// makes a clone with its quota and the id of its image, so there is no half-made
// one; and its origin cannot be destroyed while it exists.
type cloneRoots struct {
	datasets Datasets
}

func (c *cloneRoots) prepare(ctx context.Context, container string, image held, quota int64) error {
	origin := layerDataset(filepath.Base(image.lowers[0])) + baseSnapshot
	_, err := c.datasets.Clone(ctx, origin, rootDataset(container), quotaProperties(image.image.ID, quota))
	if model.IsKind(err, model.KindConflict) {
		_, err = c.datasets.Mount(ctx, rootDataset(container))
	}
	return err
}

// mount needs no mount of its own: a clone is mounted while it exists.
func (c *cloneRoots) mount(ctx context.Context, container string, _ held) (string, error) {
	return c.datasets.Mount(ctx, rootDataset(container))
}

func (c *cloneRoots) unmount(context.Context, string) error { return nil }

func (c *cloneRoots) remove(ctx context.Context, container string) error {
	return c.datasets.Destroy(ctx, rootDataset(container))
}

func (c *cloneRoots) tree(ctx context.Context, container string) (string, delta.Kind, error) {
	dir, err := c.datasets.Mount(ctx, rootDataset(container))
	return dir, delta.Clone, err
}

func (c *cloneRoots) size(ctx context.Context, container string) (int64, error) {
	return c.datasets.Used(ctx, rootDataset(container))
}

func (c *cloneRoots) list(ctx context.Context) (map[string]string, error) {
	return c.datasets.Children(ctx, rootsDataset, imageProperty)
}

func (c *cloneRoots) quota() bool { return true }
