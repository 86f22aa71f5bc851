package state

import (
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) askVolumeMove(cmd command.AskVolumeMove) error {
	v, err := t.volume(cmd.ID)
	if err != nil {
		return err
	}
	if err := checkKey("operation", cmd.Operation); err != nil {
		return err
	}
	if v.Move != nil && v.Move.Operation == cmd.Operation {
		return nil
	}
	if cmd.Rate < 0 {
		return model.Errorf(model.KindInvalid, "a rate is negative")
	}
	if err := t.beginCopy(&v, cmd.To); err != nil {
		return err
	}
	v.Move = &model.VolumeMove{Operation: cmd.Operation, To: cmd.To, Rate: cmd.Rate, Step: model.TransferCopying, Since: cmd.Time}
	t.touch(v.AccountID)
	if err := t.insert(tableVolumes, &v); err != nil {
		return err
	}
	return t.promiseCopy(&v, 1)
}

// promiseCopy counts what a volume that is copied will take of its new node;
// sign is 1 or -1.
func (t *transaction) promiseCopy(v *model.Volume, sign int64) error {
	if v.Move == nil || v.Move.Step != model.TransferCopying || v.Size == 0 {
		return nil
	}
	return t.promiseOf(v.Move.To, 0, model.Resources{Disk: sign * v.Size})
}

// movedVolume finds a volume, also a removed one, on the way that operation
// names.
func (t *transaction) movedVolume(id, operation string) (model.Volume, error) {
	v, ok := t.Volume(id)
	if !ok || v.Move == nil || v.Move.Operation != operation {
		return v, model.Errorf(model.KindConflict, "the move of the volume is over")
	}
	return v, nil
}

func (t *transaction) stepVolumeMove(cmd command.StepVolumeMove) error {
	v, err := t.movedVolume(cmd.ID, cmd.Operation)
	switch {
	case err != nil || v.Move.Step == cmd.Step:
		return err
	case v.Move.Step != model.TransferCopying:
		return model.Errorf(model.KindConflict, "the move of volume %s cannot take that step", v.Name)
	case cmd.Step == model.TransferSettling:
		return t.settleVolume(v)
	case cmd.Step == model.TransferUndoing:
		if err := t.undoVolumeMove(&v, cmd.Failure); err != nil {
			return err
		}
		t.touch(v.AccountID)
		return t.insert(tableVolumes, &v)
	}
	return model.Errorf(model.KindConflict, "the move of volume %s cannot take that step", v.Name)
}

// settleVolume makes a volume its new node's.
func (t *transaction) settleVolume(v model.Volume) error {
	to, err := t.node(v.Move.To)
	if err != nil {
		return err
	}
	if err := t.promiseCopy(&v, -1); err != nil {
		return err
	}
	v.Move = stepped(v.Move, model.TransferSettling, "")
	return t.rehomeVolume(v, v.NodeID, to)
}

// undoVolumeMove has a volume, which the caller writes, stay on its node if it
// is being copied to another.
func (t *transaction) undoVolumeMove(v *model.Volume, failure string) error {
	if v.Move == nil || v.Move.Step != model.TransferCopying {
		return nil
	}
	if err := t.promiseCopy(v, -1); err != nil {
		return err
	}
	condemn(v, v.Move.To)
	v.Move = stepped(v.Move, model.TransferUndoing, failure)
	return nil
}

// stepped is a way at another step: rows are never changed.
func stepped(way *model.VolumeMove, step model.TransferStep, failure string) *model.VolumeMove {
	next := *way
	next.Step, next.Failure = step, failure
	return &next
}

func (t *transaction) endVolumeMove(cmd command.EndVolumeMove) error {
	v, err := t.movedVolume(cmd.ID, cmd.Operation)
	if err != nil {
		return nil // it is over
	}
	if v.Move.Step == model.TransferCopying {
		return model.Errorf(model.KindConflict, "volume %s is still being copied", v.Name)
	}
	v.LastMove = &model.TransferEnd{Operation: v.Move.Operation, Failure: v.Move.Failure, Ended: cmd.Time}
	v.Move = nil
	t.touch(v.AccountID)
	return t.insert(tableVolumes, &v)
}
