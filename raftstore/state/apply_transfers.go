package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) askTransfer(cmd command.AskTransfer) error {
	c, ok := t.Container(cmd.ID)
	if !ok {
		return model.Errorf(model.KindNotFound, "No such container: %s", cmd.ID)
	}
	if err := checkKey("operation", cmd.Operation); err != nil {
		return err
	}
	if c.Transfer != nil && c.Transfer.Operation == cmd.Operation {
		return nil
	}
	if cmd.Rate < 0 {
		return model.Errorf(model.KindInvalid, "a rate is negative")
	}
	if err := t.CheckTransfer(&c); err != nil {
		return err
	}
	if cmd.Node == c.NodeID {
		return model.Errorf(model.KindConflict, "container %s is on that node already", c.Name)
	}
	c.Transfer = &model.Transfer{Operation: cmd.Operation, Node: cmd.Node, Rate: cmd.Rate, Step: model.TransferAsked, Since: cmd.Time}
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

// transferred finds a container that is on the way that operation names.
func (t *transaction) transferred(id, operation string) (model.Container, error) {
	c, ok := t.Container(id)
	if !ok || c.Transfer == nil || c.Transfer.Operation != operation {
		return c, model.Errorf(model.KindConflict, "the move of the container is over")
	}
	way := *c.Transfer // rows are never changed
	c.Transfer = &way
	return c, nil
}

func (t *transaction) stepTransfer(cmd command.StepTransfer) error {
	c, err := t.transferred(cmd.ID, cmd.Operation)
	if err != nil || c.Transfer.Step == cmd.Step {
		return err
	}
	from := c.Transfer.Step
	c.Transfer.Step = cmd.Step
	switch {
	case cmd.Step == model.TransferCopying && from == model.TransferAsked:
		if err := t.promiseTransfer(&c, cmd); err != nil {
			return err
		}
	case cmd.Step == model.TransferStopping && from == model.TransferCopying:
		c.Transfer.Start = c.State.Status.Running() || c.State.Status == model.StatusRestarting
	case cmd.Step == model.TransferUndoing:
		c.Transfer.Failure = cmd.Failure
	default:
		return model.Errorf(model.KindConflict, "the move of container %s cannot take that step", c.Name)
	}
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

// promiseTransfer promises the node that was chosen to the container, which the
// caller writes, and to its volumes.
func (t *transaction) promiseTransfer(c *model.Container, cmd command.StepTransfer) error {
	to, err := t.node(cmd.To)
	if err != nil {
		return err
	}
	if to.ID == c.NodeID {
		return model.Errorf(model.KindConflict, "container %s is on that node already", c.Name)
	}
	if slices.ContainsFunc(c.Former, func(f model.FormerCopy) bool { return f.NodeID == to.ID }) {
		return model.Errorf(model.KindConflict, "node %s has an old copy of the container, which is being removed; try again in a moment", to.Name)
	}
	if cmd.Reserved.Memory != c.Reserved.Memory || cmd.Reserved.CPU != c.Reserved.CPU || cmd.Reserved.Disk < 0 {
		return model.Errorf(model.KindConflict, "what container %s takes of its node was changed meanwhile", c.Name)
	}
	candidate := *c
	candidate.Reserved = cmd.Reserved
	if err := t.checkNode(to, &candidate); err != nil {
		return err
	}
	for _, vol := range t.VolumesOf(c) {
		switch {
		case vol.Size > 0 && !to.Info.VolumeQuota:
			return model.Errorf(model.KindConflict, "volume %s has a size, and the storage of node %s cannot hold it to one", vol.Name, to.Name)
		case vol.NodeID != c.NodeID || vol.Moving() || vol.Incomplete:
			return model.Errorf(model.KindConflict, "volume %s is being filled or moved", vol.Name)
		case slices.ContainsFunc(vol.Copies, copyOn(to.ID)):
			return model.Errorf(model.KindConflict, "node %s has an old copy of volume %s, which is being removed; try again in a moment", to.Name, vol.Name)
		}
		vol.Copies = append(slices.Clone(vol.Copies), model.VolumeCopy{NodeID: to.ID})
		if err := t.insert(tableVolumes, &vol); err != nil {
			return err
		}
	}
	c.Transfer.To, c.Transfer.Reserved = to.ID, cmd.Reserved
	return t.promiseOf(to.ID, 1, cmd.Reserved)
}

// promiseWay counts what is promised to a transfer on its new node; sign is 1
// or -1.
func (t *transaction) promiseWay(c *model.Container, sign int) error {
	if c.Transfer == nil || c.Transfer.To == "" {
		return nil
	}
	return t.promiseOf(c.Transfer.To, sign, times(c.Transfer.Reserved, sign))
}

func (t *transaction) completeTransfer(cmd command.CompleteTransfer) error {
	c, err := t.transferred(cmd.ID, cmd.Operation)
	if err != nil {
		return err
	}
	way := c.Transfer
	if way.Step != model.TransferStopping || c.State.Status.Running() {
		return model.Errorf(model.KindConflict, "container %s is not stopped for its move", c.Name)
	}
	to, err := t.node(way.To)
	if err != nil {
		return err
	}
	if err := t.promise(&c, -1); err != nil {
		return err
	}
	volumes := int64(0)
	for _, vol := range t.VolumesOf(&c) {
		volumes += vol.Size
		if err := t.rehomeVolume(vol, c.NodeID, to); err != nil {
			return err
		}
	}
	c.Former = append(slices.Clone(c.Former), model.FormerCopy{NodeID: c.NodeID, Generation: c.Generation})
	c.Move = &model.Move{From: c.NodeID, Start: way.Start, Since: cmd.Time, Fetched: true}
	c.NodeID, c.Generation, c.Reserved = to.ID, c.Generation+1, way.Reserved
	c.Reserved.Disk -= volumes
	c.Transfer, c.LastTransfer = nil, &model.TransferEnd{Operation: way.Operation, Ended: cmd.Time}
	c.Execs = nil
	if err := t.promise(&c, 1); err != nil {
		return err
	}
	t.recordOf(&c, "move", cmd.Time, nil)
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

// rehomeVolume makes the copy that to has the volume, and what from has a dead
// copy. What it takes of to was promised with the transfer.
func (t *transaction) rehomeVolume(v model.Volume, from string, to model.Node) error {
	i := slices.IndexFunc(v.Copies, copyOn(to.ID))
	if v.NodeID != from || i < 0 || v.Copies[i].Dead {
		return model.Errorf(model.KindConflict, "the copy of volume %s was given up meanwhile", v.Name)
	}
	if err := t.promiseVolume(&v, -1); err != nil {
		return err
	}
	v.Copies = append(slices.Delete(slices.Clone(v.Copies), i, i+1), model.VolumeCopy{NodeID: from, Dead: true})
	v.NodeID = to.ID
	t.touch(v.AccountID)
	if err := t.insert(tableVolumes, &v); err != nil {
		return err
	}
	return t.promiseVolume(&v, 1)
}

func (t *transaction) endTransfer(cmd command.EndTransfer) error {
	c, err := t.transferred(cmd.ID, cmd.Operation)
	if err != nil {
		return nil // it is over
	}
	if c.Transfer.Step != model.TransferUndoing {
		return model.Errorf(model.KindConflict, "the move of container %s is not being undone", c.Name)
	}
	way := c.Transfer
	if err := t.dropTransfer(&c); err != nil {
		return err
	}
	c.LastTransfer = &model.TransferEnd{Operation: way.Operation, Failure: way.Failure, Ended: cmd.Time}
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

// dropTransfer gives back what was promised to a container's transfer, if there
// is one. The caller writes the container.
func (t *transaction) dropTransfer(c *model.Container) error {
	way := c.Transfer
	if way == nil {
		return nil
	}
	if err := t.promiseWay(c, -1); err != nil {
		return err
	}
	c.Transfer = nil
	if way.To == "" {
		return nil
	}
	c.Former = append(slices.Clone(c.Former), model.FormerCopy{NodeID: way.To, Generation: c.Generation + 1})
	for _, vol := range t.VolumesOf(c) {
		if err := t.condemnCopy(command.CondemnCopy{ID: vol.ID, NodeID: way.To}); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) dropFormer(cmd command.DropFormer) error {
	c, ok := t.Container(cmd.ID)
	i := slices.Index(c.Former, cmd.Former)
	if !ok || i < 0 {
		return nil
	}
	return t.withoutFormer(c, i)
}

func (t *transaction) withoutFormer(c model.Container, i int) error {
	c.Former = slices.Delete(slices.Clone(c.Former), i, i+1)
	if len(c.Former) == 0 {
		c.Former = nil
	}
	return t.insert(tableContainers, &c)
}

// dropFormerOnNode forgets the former copies that a node that leaves has.
func (t *transaction) dropFormerOnNode(nodeID string) error {
	for _, row := range t.FormerContainers() {
		c := *row
		i := slices.IndexFunc(c.Former, func(f model.FormerCopy) bool { return f.NodeID == nodeID })
		if i < 0 {
			continue
		}
		if err := t.withoutFormer(c, i); err != nil {
			return err
		}
	}
	return nil
}
