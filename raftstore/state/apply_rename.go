package state

import (
	"maps"
	"slices"
	"strings"

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
	if users := t.ContainersOfVolume(v.ID); len(users) > 0 {
		names := make([]string, len(users))
		for i, c := range users {
			names[i] = c.Name
		}
		slices.Sort(names)
		return model.Errorf(model.KindConflict, "rename %s: volume is in use - [%s]", v.Name, strings.Join(names, ", "))
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
