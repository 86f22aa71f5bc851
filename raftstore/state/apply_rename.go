package state

import (
	"maps"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// renameVolume changes only what people call the volume: nodes know it by id.
func (t *transaction) renameVolume(cmd command.RenameVolume) error {
	v, err := t.volume(cmd.ID)
	if err != nil || v.Name == cmd.Name {
		return err
	}
	if err := model.CheckVolumeName(cmd.Name); err != nil {
		return err
	}
	if err := t.unused(&v, "rename", func(c *model.Container) string { return c.Name }); err != nil {
		return err
	}
	if _, taken := t.VolumeByName(v.AccountID, cmd.Name); taken {
		return model.Errorf(model.KindConflict, "a volume named %s already exists", cmd.Name)
	}
	v.Name = cmd.Name
	if v.Anonymous() {
		v.Labels = maps.Clone(v.Labels)
		delete(v.Labels, model.LabelAnonymous)
	}
	t.touch(v.AccountID)
	return t.insert(tableVolumes, &v)
}
