package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) finishVolume(cmd command.FinishVolume) error {
	v, err := t.volume(cmd.ID)
	if err != nil {
		return err
	}
	v.Incomplete = false
	t.touch(v.AccountID)
	return t.insert(tableVolumes, &v)
}

func copyOn(nodeID string) func(model.VolumeCopy) bool {
	return func(c model.VolumeCopy) bool { return c.NodeID == nodeID }
}

func (t *transaction) addCopy(cmd command.AddCopy) error {
	v, err := t.volume(cmd.ID)
	if err != nil {
		return err
	}
	if err := t.beginCopy(&v, cmd.NodeID); err != nil {
		return err
	}
	return t.insert(tableVolumes, &v)
}

// beginCopy adds a copy on a node, to become the volume, to one that the caller
// writes.
func (t *transaction) beginCopy(v *model.Volume, nodeID string) error {
	if err := t.checkUnused(v); err != nil {
		return err
	}
	to, err := t.node(nodeID)
	if err != nil {
		return err
	}
	switch {
	case v.NodeID == "":
		return model.Errorf(model.KindConflict, "volume %s is on no node yet: it comes to be with the first container that mounts it", v.Name)
	case v.Incomplete:
		return model.Errorf(model.KindConflict, "volume %s is still being filled, or its filling was broken off; wait, or remove it", v.Name)
	case v.NodeID == nodeID:
		return model.Errorf(model.KindConflict, "volume %s is on node %s already", v.Name, to.Name)
	case v.Moving():
		return model.Errorf(model.KindConflict, "volume %s is on its way to another node already", v.Name)
	case slices.ContainsFunc(v.Copies, copyOn(nodeID)):
		return model.Errorf(model.KindConflict, "node %s has an old copy of volume %s, which is being removed; try again in a moment", to.Name, v.Name)
	case !to.Approved:
		return model.Errorf(model.KindConflict, "node %s is not approved", to.Name)
	}
	if err := t.checkRoom(to, v); err != nil {
		return err
	}
	v.Copies = append(slices.Clone(v.Copies), model.VolumeCopy{NodeID: nodeID})
	return nil
}

// checkUnused refuses a volume that a container mounts.
func (t *transaction) checkUnused(v *model.Volume) error {
	if users := t.ContainersOfVolume(v.ID); len(users) > 0 {
		return model.Errorf(model.KindConflict, "volume %s is in use by %d containers; remove them first", v.Name, len(users))
	}
	return nil
}

func (t *transaction) condemnCopy(cmd command.CondemnCopy) error {
	v, ok := t.Volume(cmd.ID)
	if !ok || !condemn(&v, cmd.NodeID) {
		return nil
	}
	return t.insert(tableVolumes, &v)
}

// condemn makes a node's copy of a volume, which the caller writes, a dead one,
// and reports whether there is such a copy.
func condemn(v *model.Volume, nodeID string) bool {
	i := slices.IndexFunc(v.Copies, copyOn(nodeID))
	if i < 0 {
		return false
	}
	v.Copies = slices.Clone(v.Copies)
	v.Copies[i].Dead = true
	return true
}

func (t *transaction) dropCopy(cmd command.DropCopy) error {
	v, ok := t.Volume(cmd.ID)
	i := slices.IndexFunc(v.Copies, copyOn(cmd.NodeID))
	if !ok || i < 0 {
		return nil
	}
	if !v.Copies[i].Dead && !v.Removing {
		return model.Errorf(model.KindConflict, "the copy of volume %s is still wanted", v.Name)
	}
	v.Copies = slices.Delete(slices.Clone(v.Copies), i, i+1)
	if len(v.Copies) == 0 {
		v.Copies = nil
	}
	return t.insert(tableVolumes, &v)
}

func (t *transaction) moveVolume(cmd command.MoveVolume) error {
	v, err := t.volume(cmd.ID)
	if err != nil {
		return err
	}
	if v.NodeID == cmd.To {
		return nil
	}
	if v.Move != nil {
		return model.Errorf(model.KindConflict, "volume %s is on its way to another node already", v.Name)
	}
	i := slices.IndexFunc(v.Copies, copyOn(cmd.To))
	if v.NodeID != cmd.From || i < 0 || v.Copies[i].Dead {
		return model.Errorf(model.KindConflict, "the move of volume %s was given up meanwhile", v.Name)
	}
	if err := t.checkUnused(&v); err != nil {
		return err
	}
	n, err := t.node(cmd.To)
	if err != nil {
		return err
	}
	if err := t.promiseVolume(&v, -1); err != nil {
		return err
	}
	v.Copies = append(slices.Delete(slices.Clone(v.Copies), i, i+1), model.VolumeCopy{NodeID: cmd.From, Dead: true})
	return t.placeVolume(n, &v)
}

// dropCopiesOnNode forgets the copies that a node that leaves has.
func (t *transaction) dropCopiesOnNode(nodeID string) error {
	for _, row := range t.AllVolumes() {
		if !slices.ContainsFunc(row.Copies, copyOn(nodeID)) {
			continue
		}
		v := *row
		if v.Move != nil && v.Move.To == nodeID {
			if err := t.undoVolumeMove(&v, "the node that it was to go to was removed"); err != nil {
				return err
			}
		}
		v.Copies = slices.DeleteFunc(slices.Clone(v.Copies), copyOn(nodeID))
		if err := t.insert(tableVolumes, &v); err != nil {
			return err
		}
	}
	return nil
}
