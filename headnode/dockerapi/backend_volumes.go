package dockerapi

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
)

// Volumes is what the API asks of an account's volumes, by their names.
type Volumes interface {
	// CreateVolume makes a volume, or returns the one of that name if it is as
	// was asked for; KindConflict if it is not. An empty name is drawn.
	CreateVolume(ctx context.Context, a model.Account, v model.Volume) (model.Volume, error)
	// Volume finds a volume, and says how many containers mount it.
	Volume(ctx context.Context, a model.Account, name string) (Volume, error)
	// ListVolumes lists the account's volumes by name.
	ListVolumes(ctx context.Context, a model.Account) ([]Volume, error)
	// RemoveVolume removes a volume; KindConflict while a container mounts it.
	RemoveVolume(ctx context.Context, a model.Account, name string) error
	// PruneVolumes removes each volume that no container mounts and that want
	// accepts.
	PruneVolumes(ctx context.Context, a model.Account, want func(*model.Volume) bool) (removed []string, reclaimed int64, err error)
	// VolumeUsage measures volumes, by their ids, on all nodes at once. Those
	// of nodes that cannot be asked are left out; one that is on no node takes
	// nothing.
	VolumeUsage(ctx context.Context, vs []Volume) (map[string]model.VolumeUsage, error)
}

// Volume is a volume and the number of containers that mount it.
type Volume struct {
	model.Volume
	Containers int
}
