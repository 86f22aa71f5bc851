package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// Where roots are in the tree of datasets, and what marks them.
const (
	rootsDataset  = "roots"
	imageProperty = "org.spearhead:image"
)

func rootDataset(container string) string { return rootsDataset + "/" + container }

// ensureDataset makes a dataset that others lie below.
func ensureDataset(ctx context.Context, datasets Datasets, name string) error {
	_, err := datasets.Create(ctx, name, nil)
	if model.IsKind(err, model.KindConflict) {
		_, err = datasets.Mount(ctx, name)
	}
	return err
}

func quotaProperties(imageID string, quota int64) map[string]string {
	properties := map[string]string{imageProperty: imageID}
	if quota > 0 {
		properties["quota"] = strconv.FormatInt(quota, 10)
	}
	return properties
}

// datasetUppers keeps each upper directory on a dataset with its own quota.
type datasetUppers struct {
	datasets Datasets
}

// trial finds out whether the datasets' file system can carry the upper
// directory of an overlay, by doing it.
func (d *datasetUppers) trial(ctx context.Context, mounts string) (err error) {
	const name = "trial"
	if err := ensureDataset(ctx, d.datasets, rootsDataset); err != nil {
		return err
	}
	if err := d.datasets.Destroy(ctx, name); err != nil {
		return err
	}
	dir, err := d.datasets.Create(ctx, name, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.datasets.Destroy(ctx, name)) }()
	lower, target := filepath.Join(dir, "lower"), filepath.Join(mounts, "."+name)
	for _, made := range []string{lower, target} {
		if err := os.Mkdir(made, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("cannot make trial directory: %w", err)
		}
	}
	defer func() { err = errors.Join(err, unmountAndRemove(target)) }()
	if err := os.WriteFile(filepath.Join(lower, "file"), nil, 0o600); err != nil {
		return fmt.Errorf("cannot write trial file: %w", err)
	}
	if err := fillUpper(dir, lower); err != nil {
		return err
	}
	m := overlayMount(dir, []string{lower}, nil)
	if err := m.Mount(target); err != nil {
		return fmt.Errorf("cannot mount trial overlay: %w", err)
	}
	if err := os.Remove(filepath.Join(target, "file")); err != nil {
		return fmt.Errorf("cannot hide a file of the lower directory: %w", err)
	}
	return nil
}

func (d *datasetUppers) make(ctx context.Context, container, imageID, over string, quota int64) error {
	name := rootDataset(container)
	dir, err := d.datasets.Create(ctx, name, quotaProperties(imageID, quota))
	if model.IsKind(err, model.KindConflict) {
		dir, err = d.datasets.Mount(ctx, name)
	}
	if err != nil {
		return err
	}
	if err := failpoint.Hit("image.root.made"); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(dir, "work")); err == nil {
		return nil
	}
	// A crash may have come between the two directories.
	if err := os.RemoveAll(filepath.Join(dir, "upper")); err != nil {
		return fmt.Errorf("cannot clear half-made root: %w", err)
	}
	return fillUpper(dir, over)
}

func (d *datasetUppers) dir(ctx context.Context, container string) (string, error) {
	return d.datasets.Mount(ctx, rootDataset(container))
}

func (d *datasetUppers) remove(ctx context.Context, container string) error {
	return d.datasets.Destroy(ctx, rootDataset(container))
}

func (d *datasetUppers) list(ctx context.Context) (map[string]string, error) {
	return d.datasets.Children(ctx, rootsDataset, imageProperty)
}

func (d *datasetUppers) quota() bool { return true }
