package volumes

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// send drops the snapshot that it takes, if it takes one, with the stream.
func (d *datasets) send(ctx context.Context, id, name, base string) (io.ReadCloser, error) {
	if err := d.checkSend(ctx, id, name, base); err != nil {
		return nil, err
	}
	own := name == ""
	if own {
		var err error
		if name, err = d.ownSnapshot(ctx, id); err != nil {
			return nil, err
		}
	}
	snapshot := volumeDataset(id) + "@" + name
	stream, err := d.tree.Send(ctx, snapshot, base)
	if !own {
		return stream, err
	}
	drop := func() { _ = d.tree.RemoveSnapshot(context.WithoutCancel(ctx), snapshot) } // else it is hidden, and goes with the volume
	if err != nil {
		drop()
		return nil, err
	}
	return &sent{stream, drop}, nil
}

// checkSend refuses snapshots that are not there, or in the wrong order, before
// the stream begins: after that there is no good way to tell.
func (d *datasets) checkSend(ctx context.Context, id, name, base string) error {
	all, err := d.tree.SnapshotNames(ctx, volumeDataset(id)) // the oldest first
	if model.IsKind(err, model.KindNotFound) {
		return noSuchVolume()
	}
	if err != nil {
		return err
	}
	for _, asked := range []string{name, base} {
		if asked != "" && !slices.Contains(all, asked) {
			return noSuchSnapshot(asked)
		}
	}
	if name != "" && base != "" && slices.Index(all, base) >= slices.Index(all, name) {
		return model.Errorf(model.KindInvalid, "the snapshot %s is not older than %s; a base comes before what is sent", base, name)
	}
	return nil
}

// sent is a stream of a snapshot that goes when the stream is closed.
type sent struct {
	io.ReadCloser
	drop func()
}

// Close implements io.Closer.
func (s *sent) Close() error {
	err := s.ReadCloser.Close()
	s.drop()
	return err
}

func (d *datasets) receive(ctx context.Context, id string, size int64, onto bool, stream io.Reader) error {
	if onto {
		return d.receiveOnto(ctx, id, size, stream)
	}
	if _, err := d.dir(ctx, id); err == nil {
		return model.Errorf(model.KindConflict, "the node has the volume already")
	}
	if err := d.tree.Destroy(ctx, incomingDataset+"/"+id); err != nil {
		return err
	}
	err := d.tree.Receive(ctx, incomingDataset+"/"+id, stream)
	if err == nil {
		err = d.settle(ctx, id, size, "volumes.received")
	}
	if err != nil {
		_ = d.tree.Destroy(context.WithoutCancel(ctx), incomingDataset+"/"+id) // else Open does it
		return err
	}
	d.dropHidden(ctx, []string{id}) // the snapshots that the sender took for itself
	return nil
}

// settle puts a volume that was received whole, beside its place, there. The
// failpoint step lies between the two.
func (d *datasets) settle(ctx context.Context, id string, size int64, step string) error {
	half := incomingDataset + "/" + id
	err := failpoint.Hit(step)
	if err == nil {
		err = d.holdHalf(ctx, half, size)
	}
	if err == nil {
		err = d.tree.Rename(ctx, half, volumeDataset(id))
	}
	if err != nil {
		return err
	}
	return d.checkReceived(ctx, id)
}

// holdHalf holds what was received to the volume's size.
func (d *datasets) holdHalf(ctx context.Context, half string, size int64) error {
	came, err := d.usage(ctx, half)
	if err != nil {
		return err
	}
	return d.hold(ctx, half, came.Used, size)
}

// checkReceived refuses a stream that was not one of a volume.
func (d *datasets) checkReceived(ctx context.Context, id string) error {
	dir, err := d.tree.Mount(ctx, volumeDataset(id))
	if err != nil {
		return err
	}
	foreign := model.Errorf(model.KindInvalid, "the stream is of a dataset that is no volume of Spearhead's")
	err = d.tree.Ask(ctx, func() error {
		st, err := os.Lstat(filepath.Join(dir, dataName))
		if errors.Is(err, os.ErrNotExist) || err == nil && !st.IsDir() {
			return foreign
		}
		return err
	})
	if errors.Is(err, foreign) {
		_ = d.tree.Destroy(ctx, volumeDataset(id))
	}
	return err
}

// receiveOnto adds changes to a volume. One without a snapshot has no base that
// they could follow: ZFS would take a whole stream there, and all that the volume
// holds would be gone.
func (d *datasets) receiveOnto(ctx context.Context, id string, size int64, stream io.Reader) error {
	// A container that has just ended may still be letting go of it. It cannot be
	// mounted anew before that is over, which Mount waits for.
	if err := d.tree.Unmount(ctx, volumeDataset(id)); err != nil {
		return err
	}
	if _, err := d.dir(ctx, id); err != nil {
		return err
	}
	bases, err := d.tree.SnapshotNames(ctx, volumeDataset(id))
	if err != nil {
		return err
	}
	if len(bases) == 0 {
		return model.Errorf(model.KindConflict, "the volume has no snapshot that changes could follow; receive the whole stream under a new name first")
	}
	err = d.replace(ctx, id, func() error { return d.tree.Receive(ctx, volumeDataset(id), stream) })
	if err != nil {
		return err
	}
	d.dropHidden(ctx, []string{id})
	return d.tree.Set(ctx, volumeDataset(id), sizeProperties(size))
}
