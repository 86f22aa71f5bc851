package transfers

import (
	"context"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// leftWait is for how long a move waits for the end of what a former one has
// left: it is removed at once where its node answers.
const leftWait = 10 * time.Second

// MoveVolume has a volume that no container mounts moved to a node, by their
// ids, and returns when it is there, or stays after all: then the error says
// why. Any head may be asked. When ctx ends the move goes on. tell is called when
// something has changed.
func (s *Service) MoveVolume(ctx context.Context, id, nodeID string, rate int64, tell func(Progress)) error {
	s.awaitNoCopy(ctx, id, nodeID)
	operation := model.NewID()
	_, err := s.Store.Propose(ctx, command.AskVolumeMove{ID: id, Operation: operation, To: nodeID, Rate: rate, Time: time.Now().UTC()})
	if err != nil {
		return err
	}
	return watch(ctx, s.measureVolume(ctx, id), func(ctx context.Context) (Progress, bool, error) { return s.lookAtVolume(ctx, id, operation) }, tell)
}

// awaitNoCopy waits a while for the end of the copy that a former move has left
// on a node, where there is one. If it stays, the move is refused because of it.
func (s *Service) awaitNoCopy(ctx context.Context, id, nodeID string) {
	ctx, cancel := context.WithTimeout(ctx, leftWait)
	defer cancel()
	// The only error is that of the context.
	_ = s.Store.Wait(ctx, func(v *state.View) (bool, error) {
		vol, _ := v.Volume(id)
		return !slices.Contains(vol.Copies, model.VolumeCopy{NodeID: nodeID, Dead: true}), nil
	})
}

// lookAtVolume tells how a move stands, and whether it is over.
func (s *Service) lookAtVolume(ctx context.Context, id, operation string) (now Progress, over bool, err error) {
	v := s.Store.View()
	vol, ok := v.Volume(id)
	switch {
	case !ok || vol.Removing:
		return now, true, model.Errorf(model.KindNotFound, "the volume was removed while it was moved")
	case vol.Move != nil && vol.Move.Operation == operation:
		now.Step, now.Node = string(vol.Move.Step), nodeName(v, vol.Move.To)
		if vol.Move.Step == model.TransferCopying {
			now.Bytes = s.volumeCome(ctx, &vol)
		}
		return now, false, nil
	case vol.LastMove == nil || vol.LastMove.Operation != operation:
		return now, true, model.Errorf(model.KindConflict, "the volume has been moved again since; see spearhead volume ls")
	case vol.LastMove.Failure != "":
		return now, true, model.Errorf(model.KindConflict, "the volume stays where it was: %s", vol.LastMove.Failure)
	}
	return Progress{Step: stepDone, Node: nodeName(v, vol.NodeID)}, true, nil
}

// volumeCome asks the new node how much it has. That is for people: an error
// is 0.
func (s *Service) volumeCome(ctx context.Context, vol *model.Volume) int64 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	fetched, err := s.Agent(vol.Move.To).FetchVolumeProgress(ctx, vol.ID)
	if err != nil {
		return 0
	}
	return fetched.Bytes
}

// measureVolume asks the volume's node how much there is. An error is 0.
func (s *Service) measureVolume(ctx context.Context, id string) int64 {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	vol, _ := s.Store.View().Volume(id)
	usage, err := s.Agent(vol.NodeID).VolumeUsage(ctx, []string{id})
	if err != nil {
		return 0
	}
	return usage[id].Used + usage[id].Snapshots
}
