package volumes

import (
	"context"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/idset"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/zfs"
)

// Datasets is a tree of ZFS datasets; zfs.Pool implements it, and says what the
// methods do.
type Datasets interface {
	Create(ctx context.Context, name string, properties map[string]string) (string, error)
	Mount(ctx context.Context, name string) (string, error)
	Unmount(ctx context.Context, name string) error
	Destroy(ctx context.Context, name string) error
	Children(ctx context.Context, parent, property string) (map[string]string, error)
	Get(ctx context.Context, name string, properties ...string) (map[string]string, error)
	Set(ctx context.Context, name string, properties map[string]string) error
	Snapshot(ctx context.Context, snapshot string) error
	Snapshots(ctx context.Context, name string) ([]zfs.SnapshotInfo, error)
	SnapshotNames(ctx context.Context, name string) ([]string, error)
	SnapshotsBelow(ctx context.Context, parent string) ([]string, error)
	RemoveSnapshot(ctx context.Context, snapshot string) error
	RenameSnapshot(ctx context.Context, snapshot, to string) error
	Rollback(ctx context.Context, snapshot string) error
	Clone(ctx context.Context, snapshot, name string, properties map[string]string) (string, error)
	ClonesOf(ctx context.Context, name, parent string) ([]string, error)
	Promote(ctx context.Context, name string) error
	Rename(ctx context.Context, name, to string) error
	Send(ctx context.Context, snapshot, base string) (io.ReadCloser, error)
	Receive(ctx context.Context, name string, stream io.Reader) error
	ReceiveKept(ctx context.Context, name string, stream io.Reader) error
	ResumeToken(ctx context.Context, name string) (string, error)
	SendRest(ctx context.Context, snapshot, token string) (io.ReadCloser, error)
	DropPartial(ctx context.Context, name string) error
	Ask(ctx context.Context, work func() error) error
}

// Where volumes are in the tree, and those that a stream is still making.
const (
	volumesDataset  = "volumes"
	incomingDataset = "incoming"
)

func volumeDataset(id string) string { return volumesDataset + "/" + id }

// datasets keeps each volume as a dataset.
type datasets struct {
	tree Datasets
	// halves are the volumes of which the beginning of a whole stream may have
	// come, so that the storage need not be asked whenever one is removed.
	halves idset.Set
}

// openDatasets clears away what was being received when the last agent ended
// and cannot be gone on with, and snapshots that it had taken to send.
func openDatasets(ctx context.Context, tree Datasets) (*datasets, error) {
	for _, name := range []string{volumesDataset, incomingDataset} {
		_, err := tree.Create(ctx, name, nil)
		if model.IsKind(err, model.KindConflict) {
			_, err = tree.Mount(ctx, name)
		}
		if err != nil {
			return nil, err
		}
	}
	d := &datasets{tree: tree}
	if err := d.clearIncoming(ctx); err != nil {
		return nil, err
	}
	return d, dropLeftSnapshots(ctx, tree)
}

// dropLeftSnapshots destroys all snapshots that are not users', but for those
// that clones stand on.
func dropLeftSnapshots(ctx context.Context, tree Datasets) error {
	all, err := tree.SnapshotsBelow(ctx, volumesDataset)
	if err != nil {
		return err
	}
	for _, snapshot := range all {
		if !strings.Contains(snapshot, "@"+ownPrefix) || strings.Contains(snapshot, "@"+movePrefix) {
			continue // the latter go when the move has ended
		}
		if err := tree.RemoveSnapshot(ctx, snapshot); err != nil && !model.IsKind(err, model.KindConflict) && !model.IsKind(err, model.KindNotFound) {
			return err
		}
	}
	return nil
}

// sizeProperties bound what the files of a volume take; snapshots do not count.
func sizeProperties(size int64) map[string]string {
	if size <= 0 {
		return map[string]string{"refquota": "none"}
	}
	return map[string]string{"refquota": strconv.FormatInt(size, 10)}
}

func (d *datasets) create(ctx context.Context, id string, size int64) error {
	name := volumeDataset(id)
	dir, err := d.tree.Create(ctx, name, sizeProperties(size))
	if model.IsKind(err, model.KindConflict) {
		dir, err = d.tree.Mount(ctx, name)
	}
	if err != nil {
		return err
	}
	if err := failpoint.Hit("volumes.make"); err != nil {
		return err
	}
	return d.makeData(ctx, dir)
}

// makeData makes the data directory of a volume that may have none yet.
func (d *datasets) makeData(ctx context.Context, dir string) error {
	return d.tree.Ask(ctx, func() error { return makeData(dir) })
}

func (d *datasets) dir(ctx context.Context, id string) (string, error) {
	dir, err := d.tree.Mount(ctx, volumeDataset(id))
	if model.IsKind(err, model.KindNotFound) {
		return "", noSuchVolume()
	}
	if err != nil {
		return "", err
	}
	return dir, d.makeData(ctx, dir) // a crash may have come after the dataset
}

// remove destroys a volume. Clones of it are made independent of it first, and
// the hidden snapshot that it stands on itself goes with the last such clone.
func (d *datasets) remove(ctx context.Context, id string) error {
	if err := d.dropHalf(ctx, id); err != nil {
		return err
	}
	origin := d.hiddenOrigin(ctx, id)
	err := d.tree.Destroy(ctx, volumeDataset(id))
	if err == nil && origin != "" {
		_ = d.tree.RemoveSnapshot(ctx, origin) // else another clone stands on it, or openDatasets drops it
	}
	if !model.IsKind(err, model.KindConflict) {
		return err
	}
	clones, listed := d.tree.ClonesOf(ctx, volumeDataset(id), volumesDataset)
	if listed != nil || len(clones) == 0 {
		return err // it is in use
	}
	if err := d.hideSnapshots(ctx, id); err != nil {
		return err
	}
	for _, clone := range clones {
		if err := d.tree.Promote(ctx, volumeDataset(clone)); err != nil {
			return err
		}
	}
	if err := d.tree.Destroy(ctx, volumeDataset(id)); err != nil {
		return err
	}
	d.dropHidden(ctx, clones)
	return nil
}

// hiddenOrigin is the snapshot that a clone of a moment stands on; "" for any
// other volume.
func (d *datasets) hiddenOrigin(ctx context.Context, id string) string {
	values, err := d.tree.Get(ctx, volumeDataset(id), "origin")
	origin := path.Base(values["origin"]) // ID@SNAPSHOT
	if err != nil || !strings.Contains(origin, "@"+ownPrefix) || strings.Contains(origin, "@"+movePrefix) {
		return ""
	}
	return volumesDataset + "/" + origin
}

// hideSnapshots renames all snapshots of a volume, so that they meet no others
// of the same name in the clone that is to own them, and no user there.
func (d *datasets) hideSnapshots(ctx context.Context, id string) error {
	all, err := d.tree.Snapshots(ctx, volumeDataset(id))
	if err != nil {
		return err
	}
	for _, s := range all {
		if strings.HasPrefix(s.Name, ownPrefix) {
			continue
		}
		if err := d.tree.RenameSnapshot(ctx, volumeDataset(id)+"@"+s.Name, ownPrefix+model.NewID()[:16]); err != nil {
			return err
		}
	}
	return nil
}

// dropHidden destroys those hidden snapshots that nothing stands on any more.
// What cannot be destroyed goes with its volume.
func (d *datasets) dropHidden(ctx context.Context, ids []string) {
	for _, id := range ids {
		all, err := d.tree.Snapshots(ctx, volumeDataset(id))
		if err != nil {
			continue
		}
		for _, s := range all {
			if strings.HasPrefix(s.Name, ownPrefix) {
				_ = d.tree.RemoveSnapshot(ctx, volumeDataset(id)+"@"+s.Name)
			}
		}
	}
}

func (d *datasets) list(ctx context.Context) ([]string, error) {
	all, err := d.tree.Children(ctx, volumesDataset, "used")
	return slices.Sorted(maps.Keys(all)), err
}

func (d *datasets) used(ctx context.Context, id string) (model.VolumeUsage, bool, error) {
	u, err := d.usage(ctx, volumeDataset(id))
	if model.IsKind(err, model.KindNotFound) {
		return u, false, noSuchVolume()
	}
	return u, true, err
}

func (d *datasets) usage(ctx context.Context, name string) (u model.VolumeUsage, err error) {
	values, err := d.tree.Get(ctx, name, "referenced", "usedbysnapshots")
	if err == nil {
		u.Used, err = strconv.ParseInt(values["referenced"], 10, 64)
	}
	if err == nil {
		u.Snapshots, err = strconv.ParseInt(values["usedbysnapshots"], 10, 64)
	}
	return u, err
}

func (d *datasets) quota() bool { return true }

func (d *datasets) resize(ctx context.Context, id string, size int64) error {
	used, _, err := d.used(ctx, id)
	if err != nil {
		return err
	}
	return d.hold(ctx, volumeDataset(id), used.Used, size)
}

// hold holds a dataset with so many bytes to a size.
func (d *datasets) hold(ctx context.Context, name string, used, size int64) error {
	if size > 0 && used > size {
		return model.Errorf(model.KindConflict, "the volume holds %s, which is more than %s", units.BytesSize(float64(used)), units.BytesSize(float64(size)))
	}
	return d.tree.Set(ctx, name, sizeProperties(size))
}

func (d *datasets) snapshot(ctx context.Context, id, name string) error {
	if _, err := d.dir(ctx, id); err != nil {
		return err
	}
	err := d.tree.Snapshot(ctx, volumeDataset(id)+"@"+name)
	if model.IsKind(err, model.KindConflict) {
		return model.WrapError(model.KindConflict, err, "the volume has a snapshot %s already", name)
	}
	return err
}

func (d *datasets) listSnapshots(ctx context.Context, id string) ([]model.VolumeSnapshot, error) {
	found, err := d.tree.Snapshots(ctx, volumeDataset(id))
	if model.IsKind(err, model.KindNotFound) {
		return nil, noSuchVolume()
	}
	all := make([]model.VolumeSnapshot, len(found))
	for i, s := range found {
		all[i] = model.VolumeSnapshot{Name: s.Name, Created: s.Created, Used: s.Used}
	}
	return all, err
}

func (d *datasets) removeSnapshot(ctx context.Context, id, name string) error {
	err := d.tree.RemoveSnapshot(ctx, volumeDataset(id)+"@"+name)
	switch {
	case model.IsKind(err, model.KindNotFound):
		return noSuchSnapshot(name)
	case model.IsKind(err, model.KindConflict):
		return model.WrapError(model.KindConflict, err, "the snapshot %s is in use: a volume was cloned from it; remove that one first", name)
	}
	return err
}

func noSuchSnapshot(name string) error {
	return model.Errorf(model.KindNotFound, "the volume has no snapshot %s", name)
}

func (d *datasets) restore(ctx context.Context, id, name string) error {
	err := d.replace(ctx, id, func() error { return d.tree.Rollback(ctx, volumeDataset(id)+"@"+name) })
	switch {
	case model.IsKind(err, model.KindNotFound):
		return noSuchSnapshot(name)
	case model.IsKind(err, model.KindConflict):
		return model.WrapError(model.KindConflict, err, "the volume cannot be restored now: it is in use, or a volume was cloned from a newer snapshot")
	}
	return err
}

// replace has work change all of what a volume holds, and mounts it anew: else
// the kernel may show for a while what it remembers of the old files.
func (d *datasets) replace(ctx context.Context, id string, work func() error) error {
	if err := work(); err != nil {
		return err
	}
	if err := d.tree.Unmount(ctx, volumeDataset(id)); err != nil {
		return err
	}
	_, err := d.dir(ctx, id)
	return err
}

// ownSnapshot takes a snapshot that is not the user's.
func (d *datasets) ownSnapshot(ctx context.Context, id string) (name string, err error) {
	name = ownPrefix + model.NewID()[:16]
	return name, d.snapshot(ctx, id, name)
}

func (d *datasets) clone(ctx context.Context, id, name, to string, size int64) error {
	if _, err := d.dir(ctx, to); err == nil {
		return nil
	}
	own := name == ""
	if own {
		var err error
		if name, err = d.ownSnapshot(ctx, id); err != nil {
			return err
		}
	}
	_, err := d.tree.Clone(ctx, volumeDataset(id)+"@"+name, volumeDataset(to), sizeProperties(size))
	if err != nil && own {
		_ = d.tree.RemoveSnapshot(context.WithoutCancel(ctx), volumeDataset(id)+"@"+name) // else openDatasets drops it
	}
	if model.IsKind(err, model.KindNotFound) {
		return noSuchSnapshot(name)
	}
	return err
}
