package volumes

import (
	"context"
	"io"
	"log/slog"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// Move brings a volume that no container mounts to another node. One entry
// makes the copy the volume, and the old files dead: whatever is killed when,
// exactly one of the two can be mounted, and the other is removed. The leader
// gives up copies that no head is making any more.
func (s *Service) Move(ctx context.Context, a model.Account, name, nodeName string) error {
	vol, from, err := s.find(a, name)
	if err != nil {
		return err
	}
	to, err := s.target(nodeName)
	if err != nil {
		return err
	}
	if to.ID == vol.NodeID {
		return model.Errorf(model.KindConflict, "volume %s is on node %s already", name, to.Name)
	}
	if !s.moving.Add(vol.ID) {
		return model.Errorf(model.KindConflict, "volume %s is on its way to another node already", name)
	}
	defer s.moving.Remove(vol.ID)
	if _, err := s.store.Propose(ctx, command.AddCopy{ID: vol.ID, NodeID: to.ID}); err != nil {
		return err
	}
	err = s.carry(ctx, vol, from, to)
	if err != nil {
		s.giveUp(ctx, vol, to)
		return err
	}
	s.tidyLater(ctx, vol.ID)
	return nil
}

// carry copies a volume with its snapshots, and makes the copy the volume.
func (s *Service) carry(ctx context.Context, vol model.Volume, from wire.Agent, to *model.Node) error {
	if err := failpoint.Hit("head.move.recorded"); err != nil {
		return err
	}
	snapshots, err := from.VolumeSnapshots(ctx, vol.ID)
	if err != nil {
		return err
	}
	base := ""
	for _, snapshot := range append(snapshots, model.VolumeSnapshot{}) { // and at last the files of this moment
		send := wire.SendVolumeRequest{Snapshot: snapshot.Name, Base: base}
		if err := relay(ctx, vol, from, s.agents.Agent(to.ID), send); err != nil {
			return err
		}
		base = snapshot.Name
	}
	if err := failpoint.Hit("head.move.copied"); err != nil {
		return err
	}
	_, err = s.store.Propose(ctx, command.MoveVolume{ID: vol.ID, From: vol.NodeID, To: to.ID})
	return err
}

// resumed is a stream that goes on when its sender was away for a moment.
func resumed(ctx context.Context, id string, from wire.Agent, send wire.SendVolumeRequest) (io.ReadCloser, error) {
	return wire.Resuming(ctx, send, func(ctx context.Context, r wire.SendVolumeRequest) (io.ReadCloser, error) {
		return from.SendVolume(ctx, id, r)
	})
}

// relay has one node send what another receives.
func relay(ctx context.Context, vol model.Volume, from, to wire.Agent, send wire.SendVolumeRequest) error {
	stream, err := resumed(ctx, vol.ID, from, send)
	if err != nil {
		return err
	}
	defer stream.Close()
	return to.ReceiveVolume(ctx, vol.ID, wire.ReceiveVolumeRequest{Size: vol.Size, Onto: send.Base != ""}, stream)
}

// giveUp removes the copy of a move that failed. If it cannot be done now, the
// leader does it later.
func (s *Service) giveUp(ctx context.Context, vol model.Volume, to *model.Node) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if err := s.dropCopy(ctx, vol.ID, to.ID); err != nil {
		s.log.Warn("cannot remove the copy of a volume yet", slog.String("volume", vol.ID), slog.String("node", to.ID), slog.Any("err", err))
	}
}

// tidyLater removes what a move has left on the old node, or leaves it to the
// leader's next round.
func (s *Service) tidyLater(ctx context.Context, id string) {
	vol, ok := s.store.View().Volume(id)
	if !ok {
		return
	}
	if err := s.tidy(ctx, &vol); err != nil {
		s.log.Warn("cannot remove the old files of a volume yet", slog.String("volume", id), slog.Any("err", err))
	}
}
