package accountapi

import (
	"context"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
)

// Volumes is what the calls need of volumes; package volumes says what each
// does. All are about the account's own.
type Volumes interface {
	ListVolumes(ctx context.Context, a model.Account) ([]dockerapi.Volume, error)
	VolumeUsage(ctx context.Context, vs []dockerapi.Volume) (map[string]model.VolumeUsage, error)
	Snapshots(ctx context.Context, a model.Account, name string) ([]model.VolumeSnapshot, error)
	SnapshotWithin(ctx context.Context, a model.Account, name, snapshot string) error
	RemoveSnapshot(ctx context.Context, a model.Account, name, snapshot string) error
	Restore(ctx context.Context, a model.Account, name, snapshot string) error
	ResizeWithin(ctx context.Context, a model.Account, name string, size int64) error
	CloneWithin(ctx context.Context, a model.Account, name, snapshot, to string) error
	Rename(ctx context.Context, a model.Account, name, to string) error
}

func (s *server) volumes(c *call) (any, error) {
	found, err := s.Volumes.ListVolumes(c.Context(), c.account)
	if err != nil {
		return nil, err
	}
	usage, err := s.Volumes.VolumeUsage(c.Context(), found)
	if err != nil {
		return nil, err
	}
	all := make([]Volume, len(found))
	for i, v := range found {
		all[i] = Volume{Name: v.Name, Size: v.Size, Containers: v.Containers, State: v.State(), Labels: v.Labels, Created: v.Created}
		if u, ok := usage[v.ID]; ok {
			all[i].Used = &u.Used
		}
	}
	return all, nil
}

func (s *server) snapshots(c *call) (any, error) {
	return s.Volumes.Snapshots(c.Context(), c.account, c.PathValue("name"))
}

func (s *server) takeSnapshot(c *call) (any, error) {
	in, err := decode[NewSnapshot](c)
	if err != nil {
		return nil, err
	}
	return nil, s.Volumes.SnapshotWithin(c.Context(), c.account, c.PathValue("name"), in.Name)
}

func (s *server) removeSnapshot(c *call) (any, error) {
	return nil, s.Volumes.RemoveSnapshot(c.Context(), c.account, c.PathValue("name"), c.PathValue("snapshot"))
}

func (s *server) restoreVolume(c *call) (any, error) {
	in, err := decode[Restoring](c)
	if err != nil {
		return nil, err
	}
	return nil, s.Volumes.Restore(c.Context(), c.account, c.PathValue("name"), in.Snapshot)
}

func (s *server) resizeVolume(c *call) (any, error) {
	in, err := decode[Resizing](c)
	if err == nil && in.Size == nil {
		err = model.Errorf(model.KindInvalid, "the size is missing")
	}
	if err != nil {
		return nil, err
	}
	return nil, s.Volumes.ResizeWithin(c.Context(), c.account, c.PathValue("name"), *in.Size)
}

func (s *server) renameVolume(c *call) (any, error) {
	in, err := decode[Renaming](c)
	if err != nil {
		return nil, err
	}
	return nil, s.Volumes.Rename(c.Context(), c.account, c.PathValue("name"), in.Name)
}

func (s *server) cloneVolume(c *call) (any, error) {
	in, err := decode[Cloning](c)
	if err != nil {
		return nil, err
	}
	return nil, s.Volumes.CloneWithin(c.Context(), c.account, c.PathValue("name"), in.Snapshot, in.To)
}
