package state

import (
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// checkMovable returns why a container cannot be moved to another node at this
// moment, whatever it shares with others, in words for people; or nil.
func checkMovable(c *model.Container) error {
	switch {
	case c.Phase != model.PhaseCreated || c.State.Status == model.StatusRemoving:
		return model.Errorf(model.KindConflict, "container %s is being made or removed", c.Name)
	case c.Transfer != nil || c.Move != nil:
		return model.Errorf(model.KindConflict, "container %s is being moved already", c.Name)
	case c.State.Status == model.StatusDead:
		return model.Errorf(model.KindConflict, "container %s is dead: there is nothing of it to move", c.Name)
	case c.State.Status == model.StatusPaused:
		return model.Errorf(model.KindConflict, "container %s is paused; unpause it first", c.Name)
	case c.Update != nil || c.NICsStale:
		return model.Errorf(model.KindConflict, "container %s is being changed; try again in a moment", c.Name)
	case len(c.Spec.Devices) > 0:
		return model.Errorf(model.KindConflict, "container %s uses devices of its node", c.Name)
	}
	return nil
}

// checkPaths refuses a container that mounts files of its node.
func checkPaths(c *model.Container) error {
	for _, m := range c.Spec.Mounts {
		if m.Type == model.MountBind {
			return model.Errorf(model.KindConflict, "container %s mounts %s of its node's own files", c.Name, m.Source)
		}
	}
	return nil
}

// checkSettled refuses a volume that is not wholly on the node of c, which
// mounts it.
func checkSettled(vol *model.Volume, c *model.Container) error {
	if vol.Incomplete || vol.Moving() || vol.NodeID != c.NodeID {
		return model.Errorf(model.KindConflict, "the volume %s of container %s is being filled or moved; try again when that is done", vol.Name, c.Name)
	}
	return nil
}

// checkAlone is what AskTransfer asks of a container: that it can be moved and
// shares nothing with others.
func (v *View) checkAlone(c *model.Container) error {
	if err := checkMovable(c); err != nil {
		return err
	}
	for _, other := range v.Containers(c.AccountID) {
		switch {
		case other.ID == c.ID:
		case slices.Contains(other.Spec.Joins(), c.ID):
			return model.Errorf(model.KindConflict, "container %s shares a namespace with container %s, which is bound to its node by that", c.Name, other.Name)
		case slices.Contains(c.Spec.Joins(), other.ID):
			return model.Errorf(model.KindConflict, "container %s lives in a namespace of container %s, and is bound to its node by that", c.Name, other.Name)
		}
	}
	if err := checkPaths(c); err != nil {
		return err
	}
	for _, vol := range v.VolumesOf(c) {
		var others []string
		for _, user := range v.ContainersOfVolume(vol.ID) {
			if user.ID != c.ID {
				others = append(others, user.Name)
			}
		}
		if len(others) > 0 {
			return model.Errorf(model.KindConflict, "container %s shares the volume %s with %s: a volume is on one node, with all that mount it", c.Name, vol.Name, strings.Join(others, ", "))
		}
		if err := checkSettled(&vol, c); err != nil {
			return err
		}
	}
	return nil
}

// VolumesOf lists the volumes that a container mounts, each once.
func (v *View) VolumesOf(c *model.Container) []model.Volume {
	var all []model.Volume
	for _, m := range c.Spec.Mounts {
		if m.Type != model.MountVolume || slices.ContainsFunc(all, func(v model.Volume) bool { return v.ID == m.VolumeID }) {
			continue
		}
		if vol, ok := v.Volume(m.VolumeID); ok {
			all = append(all, vol)
		}
	}
	return all
}

// errTransferred refuses what would change a container while it is moved.
func errTransferred(c *model.Container) error {
	return model.Errorf(model.KindConflict, "container %s is being moved to another node; try again when it is there", c.Name)
}
