package agent

import (
	"context"
	"io"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// volume copies a volume: by its snapshots where both nodes have such, so that
// these come along, else as a tree of files.
func (f *fetch) volume(ctx context.Context, v wire.VolumeRef) error {
	base, err := f.base(ctx, v)
	var there []string
	if err == nil {
		there, err = f.from.OfferedSnapshots(ctx, f.id, v.ID)
	}
	if err == nil {
		return f.steps(ctx, v, base, there)
	}
	if !model.IsKind(err, model.KindNotImplemented) {
		return err
	}
	if err := f.agent.drivers.Volumes.Create(ctx, v); err != nil {
		return err
	}
	dir, err := f.agent.drivers.Volumes.Data(ctx, v.ID)
	if err != nil {
		return err
	}
	return f.tree(ctx, partVolume+v.ID, dir)
}

// base is the last snapshot that has come, "" for none. The storage is asked
// only where this agent has not brought it: a container that is down waits.
func (f *fetch) base(ctx context.Context, v wire.VolumeRef) (string, error) {
	if last := f.comes.lastSnapshot(v.ID); last != "" {
		return last, nil
	}
	have, err := f.agent.drivers.Volumes.Marks(ctx, v.ID)
	if err != nil || len(have) == 0 {
		return "", err
	}
	return have[len(have)-1], nil
}

// steps brings the snapshots that are missing here, each as what changed since
// the one before it.
func (f *fetch) steps(ctx context.Context, v wire.VolumeRef, base string, there []string) error {
	if base != "" {
		at := slices.Index(there, base)
		if at < 0 {
			return model.Errorf(model.KindConflict, "a snapshot of the volume was removed while it is moved; the move begins anew")
		}
		there = there[at+1:]
	}
	known := f.comes.lastSnapshot(v.ID) != ""
	f.comes.setLastSnapshot(v.ID, "") // until all has come
	if !known && len(there) > 0 {
		came, err := f.rest(ctx, v, base, there[0])
		if err != nil {
			return err
		}
		if came {
			base, there = there[0], there[1:]
		}
	}
	for _, name := range there {
		if err := f.step(ctx, v, base != "", wire.SendVolumeRequest{Snapshot: name, Base: base}); err != nil {
			return err
		}
		base = name
	}
	f.comes.setLastSnapshot(v.ID, base)
	return nil
}

// step brings one snapshot, or the rest of it, onto what is here or for a
// beginning.
func (f *fetch) step(ctx context.Context, v wire.VolumeRef, onto bool, r wire.SendVolumeRequest) error {
	stream, err := wire.Resuming(ctx, r, func(ctx context.Context, r wire.SendVolumeRequest) (io.ReadCloser, error) {
		return f.from.OfferedStream(ctx, f.id, v.ID, r)
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	return f.agent.drivers.Volumes.ReceiveStep(ctx, v.ID, wire.ReceiveVolumeRequest{Size: v.Size, Onto: onto}, f.counted(ctx, stream))
}

// rest brings what is missing of a snapshot whose beginning came before its
// stream broke off, or this agent's predecessor was killed, and reports whether
// it did. Where that cannot be gone on with it is forgotten.
func (f *fetch) rest(ctx context.Context, v wire.VolumeRef, base, snapshot string) (came bool, err error) {
	token, err := f.agent.drivers.Volumes.Partial(ctx, v.ID)
	if err != nil || token == "" {
		return false, err
	}
	err = f.step(ctx, v, base != "", wire.SendVolumeRequest{Snapshot: snapshot, Token: token})
	if err == nil || ctx.Err() != nil || model.IsKind(err, model.KindUnavailable) {
		return err == nil, err
	}
	f.agent.log.Warn("cannot go on with half a snapshot of a volume; it comes anew", "op", "fetch", "volume", v.ID, "err", err)
	return false, f.agent.drivers.Volumes.DropPartial(ctx, v.ID)
}
