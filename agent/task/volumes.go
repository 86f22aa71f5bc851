package task

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// fillLimit bounds how long an image's files may take to be copied into new
// volumes: they can be many.
const fillLimit = 30 * time.Minute

// makeVolumes makes the volumes that the container mounts and that the node
// does not have, and copies into empty ones what the image has at their place.
// A creation that is undone leaves them: they are the account's.
func (t *Task) makeVolumes() error {
	if len(t.request.Volumes) == 0 {
		return nil
	}
	if err := failpoint.Hit("agent/create-volumes"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), fillLimit)
	defer cancel()
	for _, v := range t.request.Volumes {
		if err := t.node.Volumes.Create(ctx, v); err != nil {
			return fmt.Errorf("cannot make a volume of container %s: %w", t.id, err)
		}
	}
	if err := t.fillVolumes(ctx); err != nil {
		return fmt.Errorf("cannot fill a volume of container %s: %w", t.id, err)
	}
	return nil
}

func (t *Task) fillVolumes(ctx context.Context) error {
	fills := func(m model.Mount) bool { return m.Type == model.MountVolume && !m.NoCopy && m.Subpath == "" }
	if !slices.ContainsFunc(t.spec().Mounts, fills) {
		return nil
	}
	root, err := t.node.Images.MountRoot(ctx, t.id)
	if err != nil {
		return err
	}
	for _, m := range t.spec().Mounts {
		if !fills(m) {
			continue
		}
		if err = t.node.Volumes.Fill(ctx, m.VolumeID, root, m.Target, !t.node.Mounted(m.VolumeID, t.id)); err != nil {
			break
		}
	}
	return errors.Join(err, t.node.Images.UnmountRoot(ctx, t.id))
}

// exposed is spec with its volumes as paths of the node.
func (t *Task) exposed(ctx context.Context, spec *model.ContainerSpec) (*model.ContainerSpec, error) {
	if !spec.MountsVolumes() {
		return spec, nil
	}
	paths, err := t.node.Volumes.Expose(ctx, t.id, spec.Mounts)
	if err != nil {
		return nil, fmt.Errorf("cannot open a volume of container %s: %w", t.id, err)
	}
	bound := *spec
	bound.Mounts = slices.Clone(spec.Mounts)
	for i, path := range paths {
		m := &bound.Mounts[i]
		m.Type, m.Source = model.MountBind, path
	}
	return &bound, nil
}
