package volumes

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// movePrefix begins the names of the snapshots between which a volume is sent
// that moves while it is in use. They stay until the move has ended.
const movePrefix = ownPrefix + "move-"

// Data is the directory with what containers see of a volume.
func (s *Store) Data(ctx context.Context, id string) (string, error) {
	dir, err := s.keeper.dir(ctx, id)
	return filepath.Join(dir, dataName), err
}

// Mark takes a snapshot for a move, and lists all that the other node needs,
// the oldest first. KindNotImplemented where volumes have no snapshots.
func (s *Store) Mark(ctx context.Context, id string) (names []string, err error) {
	err = s.with(ctx, id, func() error {
		names, err = s.keeper.mark(ctx, id)
		return err
	})
	return names, err
}

// Marks lists the snapshots that have come of a volume that is moved here, the
// oldest first. It is empty for one that is not here at all.
func (s *Store) Marks(ctx context.Context, id string) ([]string, error) {
	return s.keeper.marks(ctx, id)
}

// ReceiveStep adds a snapshot to a volume that is moved here, from a stream of
// it that is whole or, onto what is here, follows the last of Marks; or from the
// rest of such a stream, as Partial told.
func (s *Store) ReceiveStep(ctx context.Context, id string, r wire.ReceiveVolumeRequest, stream io.Reader) error {
	return s.with(ctx, id, func() error { return s.keeper.receiveStep(ctx, id, r, stream) })
}

// Unmark removes the snapshots of a move that has ended. A volume that is not
// here is no error.
func (s *Store) Unmark(ctx context.Context, id string) error {
	return s.with(ctx, id, func() error { return s.keeper.unmark(ctx, id) })
}

func (d *datasets) mark(ctx context.Context, id string) ([]string, error) {
	if err := d.snapshot(ctx, id, movePrefix+model.NewID()[:16]); err != nil {
		return nil, err
	}
	all, err := d.tree.SnapshotNames(ctx, volumeDataset(id))
	return slices.DeleteFunc(all, func(name string) bool {
		return strings.HasPrefix(name, ownPrefix) && !strings.HasPrefix(name, movePrefix)
	}), err
}

func (d *datasets) marks(ctx context.Context, id string) ([]string, error) {
	all, err := d.tree.SnapshotNames(ctx, volumeDataset(id))
	if model.IsKind(err, model.KindNotFound) {
		return nil, nil
	}
	return all, err
}

// receiveStep leaves the volume unmounted: who uses it mounts it, and sees
// nothing of what was there before.
func (d *datasets) receiveStep(ctx context.Context, id string, r wire.ReceiveVolumeRequest, stream io.Reader) error {
	if r.Onto {
		if err := d.tree.Unmount(ctx, volumeDataset(id)); err != nil {
			return err
		}
		return d.tree.ReceiveKept(ctx, volumeDataset(id), stream)
	}
	if err := d.tree.Destroy(ctx, volumeDataset(id)); err != nil { // it has no snapshot: nothing has come yet
		return err
	}
	half := incomingDataset + "/" + id
	switch token, err := d.tree.ResumeToken(ctx, half); {
	case err != nil:
		return err
	case token == "": // what is there, if anything is, was not put in its place
		if err := d.tree.Destroy(ctx, half); err != nil {
			return err
		}
	}
	d.halves.Add(id)
	if err := d.tree.ReceiveKept(ctx, half, stream); err != nil {
		return err
	}
	if err := d.settle(ctx, id, r.Size, "volumes.step"); err != nil {
		return err
	}
	d.halves.Remove(id)
	return nil
}

func (d *datasets) unmark(ctx context.Context, id string) error {
	names, err := d.marks(ctx, id)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, movePrefix) {
			continue
		}
		if err := d.tree.RemoveSnapshot(ctx, volumeDataset(id)+"@"+name); err != nil && !model.IsKind(err, model.KindNotFound) {
			return err
		}
	}
	return nil
}

func (d *directories) mark(context.Context, string) ([]string, error) { return nil, errPlain }

func (d *directories) marks(context.Context, string) ([]string, error) { return nil, errPlain }

func (d *directories) receiveStep(context.Context, string, wire.ReceiveVolumeRequest, io.Reader) error {
	return errPlain
}

func (d *directories) unmark(context.Context, string) error { return nil }
