package volumes

import (
	"context"
	"slices"

	"github.com/docker/go-units"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// What accounts do by themselves keeps to what they were given: neither limits
// nor nodes promise anything for snapshots, and a volume without a size holds
// whatever its node does.
const (
	maxSnapshots = 64
	leastSize    = 1 << 20 // bytes; Docker's API takes no less either
)

// SnapshotWithin takes a snapshot for the volume's account. All snapshots of a
// volume may hold as much as the volume itself may, and there are at most
// maxSnapshots: KindExhausted.
func (s *Service) SnapshotWithin(ctx context.Context, a model.Account, name, snapshot string) error {
	if err := checkSnapshot(snapshot); err != nil {
		return err
	}
	all, err := s.Snapshots(ctx, a, name)
	if err != nil {
		return err
	}
	there := slices.ContainsFunc(all, func(old model.VolumeSnapshot) bool { return old.Name == snapshot })
	if !there && len(all) >= maxSnapshots {
		return model.Errorf(model.KindExhausted, "volume %s has %d snapshots, and that is the most; remove one", name, len(all))
	}
	if !there { // else the node says that it is
		if err := s.checkKept(ctx, a, name); err != nil {
			return err
		}
	}
	return s.Snapshot(ctx, a, name, snapshot)
}

// checkKept refuses another snapshot of a volume if all of them could come to
// hold more than the volume may: if all its files changed, what they take now
// would be the snapshots'.
func (s *Service) checkKept(ctx context.Context, a model.Account, name string) error {
	vol, agent, err := s.find(a, name)
	if err != nil || vol.Size == 0 {
		return err
	}
	usage, err := agent.VolumeUsage(ctx, []string{vol.ID})
	if err != nil {
		return err
	}
	u := usage[vol.ID]
	if u.Used+u.Snapshots <= vol.Size {
		return nil
	}
	text := func(n int64) string { return units.BytesSize(float64(n)) }
	return model.Errorf(model.KindExhausted,
		"the snapshots of volume %s may hold as much as it may itself, %s: they hold %s, and with another one they could come to hold the %s of its files too; remove some, or resize the volume",
		name, text(vol.Size), text(u.Snapshots), text(u.Used))
}

// CloneWithin makes a new volume of another for their account. A clone of this
// moment stands on a snapshot, which counts as one of SnapshotWithin does.
func (s *Service) CloneWithin(ctx context.Context, a model.Account, name, snapshot, to string) error {
	if snapshot == "" {
		if err := s.checkKept(ctx, a, name); err != nil {
			return err
		}
	}
	return s.Clone(ctx, a, name, snapshot, to)
}

// ResizeWithin changes how much a volume may hold for its account, which must
// not make it boundless where it has to reckon with a bound.
func (s *Service) ResizeWithin(ctx context.Context, a model.Account, name string, size int64) error {
	bounded := a.Limits.Disk != model.Unlimited || s.DefaultSize() > 0
	switch {
	case size < 0 || size > 0 && size < leastSize:
		return model.Errorf(model.KindInvalid, "invalid size: a volume has at least 1MiB")
	case size == 0 && bounded:
		return model.Errorf(model.KindForbidden, "a volume without bound is not for this account: its volumes have sizes; ask for one, or ask your operator")
	}
	return s.Resize(ctx, a, name, size)
}

// Rename gives a volume another name. KindConflict while a container mounts it,
// which knows it by its name, and if the account has a volume of the new one.
func (s *Service) Rename(ctx context.Context, a model.Account, name, to string) error {
	if err := model.CheckVolumeName(to); err != nil {
		return err
	}
	vol, ok := s.store.View().VolumeByName(a.ID, name)
	if !ok {
		return noSuchVolume(name)
	}
	_, err := s.store.Propose(ctx, command.RenameVolume{ID: vol.ID, Name: to})
	return err
}
