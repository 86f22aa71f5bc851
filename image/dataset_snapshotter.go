package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
)

// Where layers are in the tree of datasets, and the snapshot that a committed
// one is cloned from.
const (
	layersDataset = "layers"
	baseSnapshot  = "@base"
)

func layerDataset(id string) string { return layersDataset + "/" + id }

// datasetSnapshotter is a snapshots.Snapshotter with a dataset for each
// snapshot. A snapshot with a parent is a clone of the parent's base, commit
// takes the base, and a view of a parent is the parent's own directory, which
// nobody writes to any more.
//
// containerd's metastore holds names and kinds. A dataset is made in the same
// transaction that names it; after a crash in between Cleanup removes it.
type datasetSnapshotter struct {
	datasets Datasets
	meta     *storage.MetaStore
}

func newDatasetSnapshotter(root string, datasets Datasets) (*datasetSnapshotter, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make directory: %w", err)
	}
	meta, err := storage.NewMetaStore(filepath.Join(root, "metadata.db"))
	if err != nil {
		return nil, fmt.Errorf("cannot open database of layers: %w", err)
	}
	if err := ensureDataset(context.Background(), datasets, layersDataset); err != nil {
		return nil, errors.Join(err, meta.Close())
	}
	return &datasetSnapshotter{datasets: datasets, meta: meta}, nil
}

// Prepare implements snapshots.Snapshotter.
func (d *datasetSnapshotter) Prepare(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return d.create(ctx, snapshots.KindActive, key, parent, opts)
}

// View implements snapshots.Snapshotter.
func (d *datasetSnapshotter) View(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return d.create(ctx, snapshots.KindView, key, parent, opts)
}

func (d *datasetSnapshotter) create(ctx context.Context, kind snapshots.Kind, key, parent string, opts []snapshots.Opt) (mounts []mount.Mount, err error) {
	var undo revert.Stack
	defer undo.Revert()
	err = d.meta.WithTransaction(ctx, true, func(ctx context.Context) error {
		s, err := storage.CreateSnapshot(ctx, kind, key, parent, opts...)
		if err != nil {
			return fmt.Errorf("cannot name snapshot: %w", err)
		}
		if ownsDataset(s.Kind, s.ParentIDs) {
			if err := d.makeDataset(ctx, s); err != nil {
				return err
			}
			undo.Add(func() { d.datasets.Destroy(context.WithoutCancel(ctx), layerDataset(s.ID)) })
			if s.Kind == snapshots.KindView { // an empty tree, for the root of an image without layers
				if err := d.datasets.Snapshot(ctx, layerDataset(s.ID)+baseSnapshot); err != nil {
					return err
				}
			}
		}
		if err := failpoint.Hit("image.dataset.made"); err != nil {
			return err
		}
		mounts, err = d.mounts(ctx, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	undo.Success()
	return mounts, nil
}

// ownsDataset tells whether a snapshot has a dataset of its own.
func ownsDataset(kind snapshots.Kind, parents []string) bool {
	return kind != snapshots.KindView || len(parents) == 0
}

// makeDataset makes the dataset of a new snapshot. A dataset of its name can
// only be left over from a crash, as ids of committed transactions are not
// used again.
func (d *datasetSnapshotter) makeDataset(ctx context.Context, s storage.Snapshot) error {
	name := layerDataset(s.ID)
	add := func() error {
		var err error
		if len(s.ParentIDs) == 0 {
			_, err = d.datasets.Create(ctx, name, nil)
		} else {
			_, err = d.datasets.Clone(ctx, layerDataset(s.ParentIDs[0])+baseSnapshot, name, nil)
		}
		return err
	}
	err := add()
	if !model.IsKind(err, model.KindConflict) {
		return err
	}
	if err := d.datasets.Destroy(ctx, name); err != nil {
		return err
	}
	return add()
}

// Mounts implements snapshots.Snapshotter.
func (d *datasetSnapshotter) Mounts(ctx context.Context, key string) (mounts []mount.Mount, err error) {
	err = d.meta.WithTransaction(ctx, false, func(ctx context.Context) error {
		s, err := storage.GetSnapshot(ctx, key)
		if err != nil {
			return fmt.Errorf("cannot find snapshot: %w", err)
		}
		mounts, err = d.mounts(ctx, s)
		return err
	})
	return mounts, err
}

func (d *datasetSnapshotter) mounts(ctx context.Context, s storage.Snapshot) ([]mount.Mount, error) {
	id, flag := s.ID, "rw"
	if !ownsDataset(s.Kind, s.ParentIDs) {
		id = s.ParentIDs[0]
	}
	if s.Kind == snapshots.KindView {
		flag = "ro"
	}
	dir, err := d.datasets.Mount(ctx, layerDataset(id))
	if err != nil {
		return nil, err
	}
	return []mount.Mount{{Type: "bind", Source: dir, Options: []string{"rbind", flag}}}, nil
}

// Commit implements snapshots.Snapshotter.
func (d *datasetSnapshotter) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) error {
	return d.meta.WithTransaction(ctx, true, func(ctx context.Context) error {
		id, _, _, err := storage.GetInfo(ctx, key)
		if err != nil {
			return fmt.Errorf("cannot find snapshot: %w", err)
		}
		usage, err := d.usage(ctx, id)
		if err != nil {
			return err
		}
		if _, err := storage.CommitActive(ctx, key, name, usage, opts...); err != nil {
			return fmt.Errorf("cannot commit snapshot: %w", err)
		}
		err = d.datasets.Snapshot(ctx, layerDataset(id)+baseSnapshot)
		if model.IsKind(err, model.KindConflict) {
			return nil // taken before a crash
		}
		return err
	})
}

func (d *datasetSnapshotter) usage(ctx context.Context, id string) (snapshots.Usage, error) {
	used, err := d.datasets.Used(ctx, layerDataset(id))
	return snapshots.Usage{Size: used}, err
}

// Usage implements snapshots.Snapshotter; inodes are not counted.
func (d *datasetSnapshotter) Usage(ctx context.Context, key string) (usage snapshots.Usage, err error) {
	err = d.meta.WithTransaction(ctx, false, func(ctx context.Context) error {
		s, err := storage.GetSnapshot(ctx, key)
		if errdefs.IsFailedPrecondition(err) { // it is committed
			_, _, usage, err = storage.GetInfo(ctx, key)
			return err
		}
		if err != nil {
			return fmt.Errorf("cannot find snapshot: %w", err)
		}
		if ownsDataset(s.Kind, s.ParentIDs) {
			usage, err = d.usage(ctx, s.ID)
		}
		return err
	})
	return usage, err
}

// Remove implements snapshots.Snapshotter. A layer that a root was cloned from
// is refused, as one with children is.
func (d *datasetSnapshotter) Remove(ctx context.Context, key string) error {
	return d.meta.WithTransaction(ctx, true, func(ctx context.Context) error {
		id, _, err := storage.Remove(ctx, key)
		if err != nil {
			return fmt.Errorf("cannot remove snapshot: %w", err)
		}
		if err := failpoint.Hit("image.dataset.remove"); err != nil {
			return err
		}
		err = d.datasets.Destroy(ctx, layerDataset(id))
		if model.IsKind(err, model.KindConflict) {
			return errors.Join(errdefs.ErrFailedPrecondition, err)
		}
		return err
	})
}

// Cleanup destroys datasets that no snapshot has: those of a crash.
func (d *datasetSnapshotter) Cleanup(ctx context.Context) error {
	return d.meta.WithTransaction(ctx, true, func(ctx context.Context) error {
		named, err := storage.IDMap(ctx)
		if err != nil {
			return fmt.Errorf("cannot list snapshots: %w", err)
		}
		found, err := d.datasets.Children(ctx, layersDataset, imageProperty)
		if err != nil {
			return err
		}
		for id := range found {
			if _, ok := named[id]; ok {
				continue
			}
			if err := d.datasets.Destroy(ctx, layerDataset(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Stat implements snapshots.Snapshotter.
func (d *datasetSnapshotter) Stat(ctx context.Context, key string) (info snapshots.Info, err error) {
	err = d.meta.WithTransaction(ctx, false, func(ctx context.Context) error {
		_, info, _, err = storage.GetInfo(ctx, key)
		return err
	})
	return info, err
}

// Update implements snapshots.Snapshotter.
func (d *datasetSnapshotter) Update(ctx context.Context, info snapshots.Info, fieldpaths ...string) (updated snapshots.Info, err error) {
	err = d.meta.WithTransaction(ctx, true, func(ctx context.Context) error {
		updated, err = storage.UpdateInfo(ctx, info, fieldpaths...)
		return err
	})
	return updated, err
}

// Walk implements snapshots.Snapshotter.
func (d *datasetSnapshotter) Walk(ctx context.Context, fn snapshots.WalkFunc, filters ...string) error {
	return d.meta.WithTransaction(ctx, false, func(ctx context.Context) error {
		return storage.WalkInfo(ctx, fn, filters...)
	})
}

// Close implements snapshots.Snapshotter; it may be called twice.
func (d *datasetSnapshotter) Close() error { return d.meta.Close() }
