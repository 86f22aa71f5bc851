package kerneltest

import (
	"context"
	"strings"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
)

// The roots of this kernel hold no files: nothing is ever written to them.

func (d *imageDriver) root(id string) error {
	if d.roots[id] == "" {
		return model.Errorf(model.KindNotFound, "container %s has no root on this node", id)
	}
	return nil
}

func (d *imageDriver) Size(_ context.Context, id string) (model.ContainerSize, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return model.ContainerSize{}, d.root(id)
}

func (d *imageDriver) Changes(_ context.Context, id string) ([]model.FileChange, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return []model.FileChange{}, d.root(id)
}

// Commit waits for its end if the comment is EndlessCommit.
func (d *imageDriver) Commit(ctx context.Context, id string, o image.CommitOptions) (made model.Image, err error) {
	if o.Comment == EndlessCommit {
		<-ctx.Done()
		return model.Image{}, ctx.Err()
	}
	err = d.do(d.life, "commit", func() error {
		if !d.mounts[id] {
			return d.violate("committing the root of %s, which nobody holds", id)
		}
		made = model.Image{ID: "sha256:" + strings.Repeat("5", 64), OS: "linux", Config: o.Config, Author: o.Author, Comment: o.Comment, Created: o.Created}
		d.images[made.ID] = true
		return nil
	})
	return made, err
}

// EndlessCommit is the comment of a commit that ends when its caller does.
const EndlessCommit = "endless"
