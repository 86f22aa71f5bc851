package agent

import (
	"context"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// users counts the containers that mount a volume, and those of them that run.
func (a *Agent) users(volume, except string) (all, running int) {
	for _, s := range a.snapshots() {
		if s.ID == except || !slices.ContainsFunc(s.Spec.Mounts, func(m model.Mount) bool { return m.VolumeID == volume }) {
			continue
		}
		all++
		if s.State.Status.Running() || s.State.Status == model.StatusRestarting {
			running++
		}
	}
	return all, running
}

// mounted reports whether another container mounts a volume.
func (a *Agent) mounted(volume, except string) bool {
	all, _ := a.users(volume, except)
	return all > 0
}

// Volumes implements wire.Agent.
func (a *Agent) Volumes(ctx context.Context) ([]string, error) { return a.drivers.Volumes.List(ctx) }

// RemoveVolume implements wire.Agent.
func (a *Agent) RemoveVolume(ctx context.Context, id string) error {
	if all, _ := a.users(id, ""); all > 0 {
		return model.Errorf(model.KindConflict, "the volume is in use by %d containers of its node", all)
	}
	if err := a.letGo(id); err != nil {
		return err
	}
	return a.drivers.Volumes.Remove(ctx, id)
}

// VolumeUsage implements wire.Agent.
func (a *Agent) VolumeUsage(ctx context.Context, ids []string) (map[string]model.VolumeUsage, error) {
	var mu sync.Mutex
	usage := make(map[string]model.VolumeUsage, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelSizes)
	for _, id := range ids {
		group.Go(func() error {
			one, err := a.drivers.Volumes.Usage(ctx, id)
			if model.IsKind(err, model.KindNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			usage[id] = one
			return nil
		})
	}
	return usage, group.Wait()
}

// ResizeVolume implements wire.Agent.
func (a *Agent) ResizeVolume(ctx context.Context, id string, size int64) error {
	if err := a.checkStays(id); err != nil {
		return err
	}
	return a.drivers.Volumes.Resize(ctx, id, size)
}

// SnapshotVolume implements wire.Agent.
func (a *Agent) SnapshotVolume(ctx context.Context, id, snapshot string) error {
	if err := a.checkStays(id); err != nil {
		return err
	}
	return a.drivers.Volumes.Snapshot(ctx, id, snapshot)
}

// VolumeSnapshots implements wire.Agent.
func (a *Agent) VolumeSnapshots(ctx context.Context, id string) ([]model.VolumeSnapshot, error) {
	return a.drivers.Volumes.Snapshots(ctx, id)
}

// RemoveSnapshot implements wire.Agent.
func (a *Agent) RemoveSnapshot(ctx context.Context, id, snapshot string) error {
	if err := a.checkStays(id); err != nil {
		return err
	}
	return a.drivers.Volumes.RemoveSnapshot(ctx, id, snapshot)
}

// RestoreVolume implements wire.Agent.
func (a *Agent) RestoreVolume(ctx context.Context, id, snapshot string) error {
	if _, running := a.users(id, ""); running > 0 {
		return model.Errorf(model.KindConflict, "running containers mount the volume (%d); stop them first", running)
	}
	if err := a.checkStays(id); err != nil {
		return err
	}
	return a.drivers.Volumes.Restore(ctx, id, snapshot)
}

// CloneVolume implements wire.Agent.
func (a *Agent) CloneVolume(ctx context.Context, id string, r wire.CloneVolumeRequest) error {
	return a.drivers.Volumes.Clone(ctx, id, r)
}

// SendVolume implements wire.Agent.
func (a *Agent) SendVolume(ctx context.Context, id string, r wire.SendVolumeRequest) (io.ReadCloser, error) {
	return a.drivers.Volumes.Send(ctx, id, r)
}

// ReceiveVolume implements wire.Agent.
func (a *Agent) ReceiveVolume(ctx context.Context, id string, r wire.ReceiveVolumeRequest, stream io.Reader) error {
	if all, _ := a.users(id, ""); all > 0 {
		return model.Errorf(model.KindConflict, "the volume is in use by %d containers of its node", all)
	}
	if err := a.checkStays(id); err != nil {
		return err
	}
	return a.drivers.Volumes.Receive(ctx, id, r, stream)
}
