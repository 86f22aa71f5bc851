package state

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) createVolume(cmd command.CreateVolume) error {
	v := cmd.Volume
	if old, ok := t.Volume(v.ID); ok && old.Name == v.Name && old.AccountID == v.AccountID && !old.Removing {
		return nil
	}
	if v.NodeID == "" {
		return t.addVolume(&v)
	}
	n, err := t.node(v.NodeID)
	if err != nil {
		return err
	}
	if err := t.checkRoom(n, &v); err != nil {
		return err
	}
	return t.addVolume(&v)
}

// addVolume writes a new volume and what follows from it.
func (t *transaction) addVolume(v *model.Volume) error {
	if err := checkKey("volume id", v.ID); err != nil {
		return err
	}
	a, err := t.account(v.AccountID)
	if err != nil {
		return err
	}
	if err := model.CheckVolumeName(v.Name); err != nil {
		return err
	}
	if v.Size < 0 || v.Size > maxResource {
		return model.Errorf(model.KindInvalid, "the volume's size of %d is out of range", v.Size)
	}
	if _, ok := t.Volume(v.ID); ok {
		return model.Errorf(model.KindConflict, "a volume with the id %s exists already", v.ID)
	}
	if _, ok := t.VolumeByName(v.AccountID, v.Name); ok {
		return model.Errorf(model.KindConflict, "a volume named %s already exists", v.Name)
	}
	if err := checkCount(a.Limits.Volumes, int64(len(t.Volumes(a.ID))), "volumes"); err != nil {
		return err
	}
	if err := t.checkDisk(&a, v.Size); err != nil {
		return err
	}
	v.Removing = false
	t.recordOfVolume(v, "create", v.Created, nil)
	if err := t.insert(tableVolumes, v); err != nil {
		return err
	}
	return t.promiseVolume(v, 1)
}

// promiseVolume counts a volume's size as promised by its node; sign is 1 or -1.
func (t *transaction) promiseVolume(v *model.Volume, sign int64) error {
	if v.NodeID == "" || v.Size == 0 {
		return nil
	}
	return t.promiseOf(v.NodeID, 0, model.Resources{Disk: sign * v.Size})
}

// checkRoom refuses a volume that its node cannot hold, or cannot hold to its
// size.
func (t *transaction) checkRoom(n model.Node, v *model.Volume) error {
	if v.Size == 0 {
		return nil
	}
	if !n.Info.VolumeQuota {
		return model.Errorf(model.KindConflict, "volume %s has a size, and the storage of the chosen node cannot hold it to one", v.Name)
	}
	return t.checkCapacity(n, model.Resources{Disk: v.Size})
}

// takeVolumes gives each mount the volume of its name, from the account's own
// or else from fresh, and binds those that are on no node to the container's.
func (t *transaction) takeVolumes(c *model.Container, fresh []model.Volume) error {
	if !c.Spec.MountsVolumes() {
		return nil
	}
	c.Spec.Mounts = slices.Clone(c.Spec.Mounts)
	n, err := t.node(c.NodeID)
	if err != nil {
		return err
	}
	for i := range c.Spec.Mounts {
		m := &c.Spec.Mounts[i]
		if m.Type != model.MountVolume {
			continue
		}
		v, err := t.volumeOf(c, m.Source, fresh)
		if err != nil {
			return err
		}
		if err := t.bindVolume(n, &v); err != nil {
			return err
		}
		m.VolumeID = v.ID
	}
	return t.checkCapacity(n, c.Reserved) // there is less by now
}

// volumeOf finds the volume of that name, or makes it of what is in fresh.
func (t *transaction) volumeOf(c *model.Container, name string, fresh []model.Volume) (model.Volume, error) {
	if v, ok := t.VolumeByName(c.AccountID, name); ok {
		return v, nil
	}
	i := slices.IndexFunc(fresh, func(v model.Volume) bool { return v.Name == name })
	if i < 0 {
		return model.Volume{}, model.Errorf(model.KindConflict, "the volume %s was removed meanwhile; try again", name)
	}
	v := fresh[i]
	v.AccountID, v.NodeID = c.AccountID, ""
	return v, t.addVolume(&v)
}

// bindVolume ties a volume that is on no node to n.
func (t *transaction) bindVolume(n model.Node, v *model.Volume) error {
	switch {
	case v.Incomplete:
		return model.Errorf(model.KindConflict, "the volume %s is still being filled, or its filling was broken off; wait, or remove it", v.Name)
	case v.Moving():
		return model.Errorf(model.KindConflict, "the volume %s is on its way to another node; try again when it is there", v.Name)
	case v.NodeID == n.ID:
		return nil
	case v.NodeID != "":
		return model.Errorf(model.KindConflict, "the volume %s is on another node than the one that was chosen; try again", v.Name)
	}
	return t.placeVolume(n, v)
}

// placeVolume says that a volume is on n from now on.
func (t *transaction) placeVolume(n model.Node, v *model.Volume) error {
	if err := t.checkRoom(n, v); err != nil {
		return err
	}
	v.NodeID = n.ID
	t.touch(v.AccountID)
	bound := *v
	if err := t.insert(tableVolumes, &bound); err != nil {
		return err
	}
	return t.promiseVolume(&bound, 1)
}

func (t *transaction) removeVolume(cmd command.RemoveVolume) error {
	v, ok := t.Volume(cmd.ID)
	if !ok || v.Removing {
		return nil
	}
	if err := t.unused(&v, "remove", func(c *model.Container) string { return c.ID }); err != nil {
		return err
	}
	return t.dropVolume(v, cmd.Time)
}

// unused refuses to do what verb says to a volume that containers mount,
// running or not, and says which, in Docker's words.
func (t *transaction) unused(v *model.Volume, verb string, shown func(*model.Container) string) error {
	users := t.ContainersOfVolume(v.ID)
	if len(users) == 0 {
		return nil
	}
	names := make([]string, len(users))
	for i, c := range users {
		names[i] = shown(c)
	}
	slices.Sort(names)
	return model.Errorf(model.KindConflict, "%s %s: volume is in use - [%s]", verb, v.Name, strings.Join(names, ", "))
}

// dropVolume takes a volume's name away and, if no node has it, all of it.
func (t *transaction) dropVolume(v model.Volume, at time.Time) error {
	t.recordOfVolume(&v, model.ActionDestroy, at, nil)
	if err := t.undoVolumeMove(&v, "the volume was removed"); err != nil {
		return err
	}
	if v.NodeID == "" && len(v.Copies) == 0 {
		return t.delete(tableVolumes, &v)
	}
	v.Removing = true
	return t.insert(tableVolumes, &v)
}

func (t *transaction) forgetVolume(cmd command.ForgetVolume) error {
	v, ok := t.Volume(cmd.ID)
	if !ok {
		return nil
	}
	if !v.Removing {
		return model.Errorf(model.KindConflict, "volume %s was not removed", v.Name)
	}
	if len(v.Copies) > 0 || v.Move != nil {
		return model.Errorf(model.KindConflict, "copies of volume %s are still there", v.Name)
	}
	return t.loseVolume(v)
}

// loseVolume forgets a volume and frees what was promised to it.
func (t *transaction) loseVolume(v model.Volume) error {
	if err := t.promiseVolume(&v, -1); err != nil {
		return err
	}
	return t.delete(tableVolumes, &v)
}

func (t *transaction) setVolumeSize(cmd command.SetVolumeSize) error {
	v, err := t.volume(cmd.ID)
	if err != nil {
		return err
	}
	if v.Moving() {
		return model.Errorf(model.KindConflict, "volume %s is on its way to another node; try again when it is there", v.Name)
	}
	if v.Size != cmd.Before {
		return model.Errorf(model.KindConflict, "the size of volume %s was changed meanwhile; try again", v.Name)
	}
	if cmd.Size < 0 || cmd.Size > maxResource {
		return model.Errorf(model.KindInvalid, "the volume's size of %d is out of range", cmd.Size)
	}
	a, err := t.account(v.AccountID)
	if err != nil {
		return err
	}
	if err := t.checkDisk(&a, cmd.Size-v.Size); err != nil {
		return err
	}
	if err := t.promiseVolume(&v, -1); err != nil {
		return err
	}
	v.Size = cmd.Size
	if v.NodeID != "" {
		n, err := t.node(v.NodeID)
		if err != nil {
			return err
		}
		if err := t.checkRoom(n, &v); err != nil {
			return err
		}
	}
	t.touch(v.AccountID)
	if err := t.insert(tableVolumes, &v); err != nil {
		return err
	}
	return t.promiseVolume(&v, 1)
}

func (t *transaction) volume(id string) (model.Volume, error) {
	v, ok := t.Volume(id)
	if !ok || v.Removing {
		return v, model.Errorf(model.KindNotFound, "no such volume")
	}
	return v, nil
}

// endContainer forgets a container that has been destroyed, and with one that
// goes by itself the volumes that were made for it.
func (t *transaction) endContainer(c *model.Container, at time.Time) error {
	if err := t.dropContainer(c); err != nil || !c.Spec.AutoRemove {
		return err
	}
	return t.dropAnonymous(c, at)
}

// dropAnonymous removes the volumes that were made for a container's mounts
// and that no other container mounts.
func (t *transaction) dropAnonymous(c *model.Container, at time.Time) error {
	for _, m := range c.Spec.Mounts {
		if !m.Anonymous || m.Type != model.MountVolume {
			continue
		}
		v, ok := t.Volume(m.VolumeID)
		if !ok || v.Removing || len(t.ContainersOfVolume(v.ID)) > 0 {
			continue
		}
		if err := t.dropVolume(v, at); err != nil {
			return err
		}
	}
	return nil
}

// dropVolumesOnNode forgets the removed volumes of a node that leaves. One that
// somebody still wants keeps the node.
func (t *transaction) dropVolumesOnNode(n model.Node) error {
	wanted := 0
	for _, v := range t.VolumesOnNode(n.ID) {
		if !v.Removing {
			wanted++
		}
	}
	if wanted > 0 {
		return model.Errorf(model.KindConflict, "node %s has %d volumes; remove or move them first", n.Name, wanted)
	}
	for _, v := range t.VolumesOnNode(n.ID) {
		if err := t.loseVolume(*v); err != nil {
			return err
		}
	}
	return t.dropCopiesOnNode(n.ID)
}

// recordMounts tells of the volumes that a container mounts when it starts, and
// lets go of when it ends.
func (t *transaction) recordMounts(c *model.Container, action string, at time.Time) {
	for _, m := range c.Spec.Mounts {
		if m.Type != model.MountVolume {
			continue
		}
		v, ok := t.Volume(m.VolumeID)
		if !ok {
			continue
		}
		more := map[string]string{"container": c.ID}
		if action == "mount" {
			more["destination"], more["propagation"] = m.Target, ""
			more["read/write"] = strconv.FormatBool(!m.ReadOnly)
		}
		t.recordOfVolume(&v, action, at, more)
	}
}

// recordOfVolume adds an event about a volume.
func (t *transaction) recordOfVolume(v *model.Volume, action string, at time.Time, more map[string]string) {
	attributes := map[string]string{"driver": v.Driver}
	for key, value := range more {
		attributes[key] = value
	}
	t.record(model.Event{Time: at, AccountID: v.AccountID, Type: typeVolume, Action: action, ActorID: v.Name, Attributes: attributes})
}

func loadVolume(t *transaction, data []byte) error {
	v, err := decodeRow[model.Volume](data)
	if err != nil {
		return err
	}
	if exists(t.txn, tableVolumes, indexID, v.ID) {
		return fmt.Errorf("the volume %s is there twice", v.ID)
	}
	if err := t.insert(tableVolumes, v); err != nil {
		return err
	}
	if err := t.promiseVolume(v, 1); err != nil {
		return err
	}
	return t.promiseCopy(v, 1)
}
