package volumes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// directories keeps each volume as a directory. A volume is there once its
// directory has its name; half-made and half-removed ones lie in the trash,
// which is emptied at the start.
type directories struct {
	top, trash string
}

func openDirectories(stateDir string) (*directories, error) {
	d := &directories{top: filepath.Join(stateDir, "volumes"), trash: filepath.Join(stateDir, "volumes.trash")}
	if err := os.RemoveAll(d.trash); err != nil {
		return nil, fmt.Errorf("cannot clear away removed volumes: %w", err)
	}
	for _, dir := range []string{d.top, d.trash} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("cannot make the folder of volumes: %w", err)
		}
	}
	return d, nil
}

func (d *directories) create(ctx context.Context, id string, _ int64) error {
	if _, err := d.dir(ctx, id); err == nil {
		return nil
	}
	half := filepath.Join(d.trash, model.NewID())
	err := os.Mkdir(half, 0o711)
	if err == nil {
		err = makeData(half)
	}
	if err == nil {
		err = failpoint.Hit("volumes.make")
	}
	if err == nil {
		err = os.Rename(half, filepath.Join(d.top, id))
	}
	if err != nil {
		return errors.Join(storageError("make a volume", err), os.RemoveAll(half))
	}
	return atomicfile.SyncDir(d.top)
}

func (d *directories) dir(_ context.Context, id string) (string, error) {
	dir := filepath.Join(d.top, id)
	_, err := os.Lstat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", noSuchVolume()
	}
	return dir, err
}

func (d *directories) remove(_ context.Context, id string) error {
	dead := filepath.Join(d.trash, model.NewID())
	err := os.Rename(filepath.Join(d.top, id), dead)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = atomicfile.SyncDir(d.top)
	}
	if err == nil {
		err = failpoint.Hit("volumes.remove")
	}
	if err == nil {
		err = os.RemoveAll(dead)
	}
	if err != nil {
		return fmt.Errorf("cannot remove a volume: %w", err)
	}
	return nil
}

func (d *directories) list(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.top)
	if err != nil {
		return nil, fmt.Errorf("cannot list volumes: %w", err)
	}
	ids := make([]string, len(entries))
	for i, entry := range entries {
		ids[i] = entry.Name()
	}
	return ids, nil
}

func (d *directories) used(ctx context.Context, id string) (model.VolumeUsage, bool, error) {
	_, err := d.dir(ctx, id)
	return model.VolumeUsage{}, false, err
}

func (d *directories) quota() bool { return false }

// errPlain is the answer to what needs datasets.
var errPlain = model.Errorf(model.KindNotImplemented,
	"the volume is a plain directory of its node, which cannot be resized, snapshotted, cloned or sent: that needs a node with ZFS")

func (d *directories) resize(context.Context, string, int64) error { return errPlain }

func (d *directories) snapshot(context.Context, string, string) error { return errPlain }

func (d *directories) listSnapshots(ctx context.Context, id string) ([]model.VolumeSnapshot, error) {
	_, err := d.dir(ctx, id)
	return nil, err // there can be none
}

func (d *directories) removeSnapshot(context.Context, string, string) error { return errPlain }

func (d *directories) restore(context.Context, string, string) error { return errPlain }

func (d *directories) clone(context.Context, string, string, string, int64) error { return errPlain }

func (d *directories) send(context.Context, string, string, string) (io.ReadCloser, error) {
	return nil, errPlain
}

func (d *directories) receive(context.Context, string, int64, bool, io.Reader) error { return errPlain }
