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
	if err := t.checkUnused(&v); err != nil {
		return err
	}
	to, err := t.node(cmd.NodeID)
	if err != nil {
		return err
	}
	switch {
	case v.NodeID == "" || v.NodeID == cmd.NodeID || v.Incomplete:
		return model.Errorf(model.KindConflict, "volume %s is not on another node than %s", v.Name, to.Name)
	case v.Moving():
		return model.Errorf(model.KindConflict, "volume %s is on its way to another node already", v.Name)
	case slices.ContainsFunc(v.Copies, copyOn(cmd.NodeID)):
		return model.Errorf(model.KindConflict, "node %s has an old copy of volume %s, which is being removed; try again in a moment", to.Name, v.Name)
	case !to.Approved:
		return model.Errorf(model.KindConflict, "node %s is not approved", to.Name)
	}
	if err := t.checkRoom(to, &v); err != nil {
		return err
	}
	v.Copies = append(slices.Clone(v.Copies), model.VolumeCopy{NodeID: cmd.NodeID})
	return t.insert(tableVolumes, &v)
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
	i := slices.IndexFunc(v.Copies, copyOn(cmd.NodeID))
	if !ok || i < 0 {
		return nil
	}
	v.Copies = slices.Clone(v.Copies)
	v.Copies[i].Dead = true
	return t.insert(tableVolumes, &v)
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
		v.Copies = slices.DeleteFunc(slices.Clone(v.Copies), copyOn(nodeID))
		if err := t.insert(tableVolumes, &v); err != nil {
			return err
		}
	}
	return nil
}
