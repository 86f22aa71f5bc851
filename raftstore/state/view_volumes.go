package state

import (
	"strconv"

	"github.com/spearheadcloud/spearhead/model"
)

// Volumes lists an account's volumes by name, without those that were removed.
func (v *View) Volumes(accountID string) []*model.Volume {
	return match[model.Volume](v.txn, tableVolumes, indexName+prefix, accountID)
}

// AllVolumes lists the volumes of all accounts, also those that were removed
// and that their nodes may still hold.
func (v *View) AllVolumes() []*model.Volume { return list[model.Volume](v.txn, tableVolumes) }

// Volume finds a volume by id, also one that was removed.
func (v *View) Volume(id string) (model.Volume, bool) {
	return first[model.Volume](v.txn, tableVolumes, indexID, id)
}

// VolumeByName finds an account's volume by name; one that was removed is not
// found.
func (v *View) VolumeByName(accountID, name string) (model.Volume, bool) {
	return first[model.Volume](v.txn, tableVolumes, indexName, accountID, name)
}

// VolumesOnNode lists a node's volumes, also those that were removed.
func (v *View) VolumesOnNode(nodeID string) []*model.Volume {
	return match[model.Volume](v.txn, tableVolumes, indexNode, nodeID)
}

// UntidyVolumes lists the volumes that were removed and that their nodes may
// still hold, and those of which other nodes may have copies.
func (v *View) UntidyVolumes() []*model.Volume {
	return match[model.Volume](v.txn, tableVolumes, indexRemoved, indexRemoved)
}

// MovingVolumes lists the volumes with a way to another node that is not at its
// end, also those that were removed.
func (v *View) MovingVolumes() []*model.Volume {
	return match[model.Volume](v.txn, tableVolumes, indexMoving, indexMoving)
}

// DefaultVolumeSize is how much a volume may hold, in bytes, that is made
// without a size; 0 is without bound.
func (v *View) DefaultVolumeSize() int64 {
	text, _ := v.Setting(model.SettingVolumeSize)
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size < 0 || size > maxResource {
		return 0
	}
	return size
}

// ContainersOfVolume lists the containers that mount a volume, running or not.
func (v *View) ContainersOfVolume(id string) []*model.Container {
	return match[model.Container](v.txn, tableContainers, indexVolume, id)
}
