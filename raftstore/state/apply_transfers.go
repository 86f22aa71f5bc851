package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) askTransfer(cmd command.AskTransfer) error {
	ask := command.AskGroupTransfer(cmd)
	c, again, err := t.asked(ask)
	if err != nil || again {
		return err
	}
	if err := t.checkAlone(&c); err != nil {
		return err
	}
	return t.beginTransfer([]*model.Container{&c}, nil, ask)
}

func (t *transaction) askGroupTransfer(cmd command.AskGroupTransfer) error {
	c, again, err := t.asked(cmd)
	if err != nil || again {
		return err
	}
	group := t.Group(&c)
	if err := t.CheckGroup(group); err != nil {
		return err
	}
	with := make([]string, len(group))
	for i, member := range group {
		with[i] = member.ID
	}
	return t.beginTransfer(group, with, cmd)
}

// asked finds the container that is to be moved, and tells whether it was asked
// for already.
func (t *transaction) asked(cmd command.AskGroupTransfer) (c model.Container, again bool, err error) {
	c, ok := t.Container(cmd.ID)
	if !ok {
		return c, false, model.Errorf(model.KindNotFound, "No such container: %s", cmd.ID)
	}
	if err := checkKey("operation", cmd.Operation); err != nil {
		return c, false, err
	}
	if c.Transfer != nil && c.Transfer.Operation == cmd.Operation {
		return c, true, nil
	}
	if cmd.Rate < 0 {
		return c, false, model.Errorf(model.KindInvalid, "a rate is negative")
	}
	return c, false, nil
}

// beginTransfer sends containers on their way together.
func (t *transaction) beginTransfer(group []*model.Container, with []string, cmd command.AskGroupTransfer) error {
	for _, row := range group {
		c := *row
		if cmd.Node == c.NodeID {
			return model.Errorf(model.KindConflict, "container %s is on that node already", c.Name)
		}
		c.Transfer = &model.Transfer{
			Operation: cmd.Operation, With: with, Node: cmd.Node, Rate: cmd.Rate, Step: model.TransferAsked, Since: cmd.Time,
		}
		t.touch(c.AccountID)
		if err := t.insert(tableContainers, &c); err != nil {
			return err
		}
	}
	return nil
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
	company, err := t.company(cmd.ID, cmd.Operation)
	if err != nil || company[0].Transfer.Step == cmd.Step {
		return err
	}
	for i := range company {
		c := &company[i]
		if err := t.stepOne(c, cmd); err != nil {
			return err
		}
		t.touch(c.AccountID)
		if err := t.insert(tableContainers, c); err != nil {
			return err
		}
	}
	return nil
}

// stepOne takes a step with one of those that go together, which the caller
// writes.
func (t *transaction) stepOne(c *model.Container, cmd command.StepTransfer) error {
	from := c.Transfer.Step
	c.Transfer.Step = cmd.Step
	switch {
	case cmd.Step == model.TransferCopying && from == model.TransferAsked:
		reserved, ok := cmd.Reserved, true
		if c.ID != cmd.ID {
			reserved, ok = cmd.Others[c.ID]
		}
		if !ok {
			return model.Errorf(model.KindConflict, "no place was chosen for container %s, which moves along", c.Name)
		}
		return t.promiseTransfer(c, cmd.To, reserved)
	case cmd.Step == model.TransferStopping && from == model.TransferCopying:
		c.Transfer.Start = c.State.Status.Running() || c.State.Status == model.StatusRestarting
	case cmd.Step == model.TransferUndoing:
		c.Transfer.Failure = cmd.Failure
	default:
		return model.Errorf(model.KindConflict, "the move of container %s cannot take that step", c.Name)
	}
	return nil
}

// promiseTransfer promises the node that was chosen to the container, which the
// caller writes, and to the volumes that it brings.
func (t *transaction) promiseTransfer(c *model.Container, nodeID string, reserved model.Resources) error {
	to, err := t.node(nodeID)
	if err != nil {
		return err
	}
	if to.ID == c.NodeID {
		return model.Errorf(model.KindConflict, "container %s is on that node already", c.Name)
	}
	if slices.ContainsFunc(c.Former, func(f model.FormerCopy) bool { return f.NodeID == to.ID }) {
		return model.Errorf(model.KindConflict, "node %s has an old copy of the container, which is being removed; try again in a moment", to.Name)
	}
	if reserved.Memory != c.Reserved.Memory || reserved.CPU != c.Reserved.CPU || reserved.Disk < 0 {
		return model.Errorf(model.KindConflict, "what container %s takes of its node was changed meanwhile", c.Name)
	}
	candidate := *c
	candidate.Reserved = reserved
	if err := t.checkNode(to, &candidate); err != nil {
		return err
	}
	for _, vol := range t.VolumesBrought(c) {
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
	c.Transfer.To, c.Transfer.Reserved = to.ID, reserved
	return t.promiseOf(to.ID, 1, reserved)
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
	company, err := t.company(cmd.ID, cmd.Operation)
	if err != nil {
		return err
	}
	for i := range company {
		if c := &company[i]; c.Transfer.Step != model.TransferStopping || c.State.Status.Running() {
			return model.Errorf(model.KindConflict, "container %s is not stopped for its move", c.Name)
		}
	}
	to, err := t.node(company[0].Transfer.To)
	if err != nil {
		return err
	}
	for i := range company {
		if err := t.completeOne(&company[i], to, cmd); err != nil {
			return err
		}
	}
	return nil
}

// completeOne makes one of those that go together the new node's, with the
// volumes that it brings.
func (t *transaction) completeOne(c *model.Container, to model.Node, cmd command.CompleteTransfer) error {
	way := c.Transfer
	if err := t.promise(c, -1); err != nil {
		return err
	}
	volumes := int64(0)
	for _, vol := range t.VolumesBrought(c) {
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
	if err := t.promise(c, 1); err != nil {
		return err
	}
	t.recordOf(c, "move", cmd.Time, nil)
	t.touch(c.AccountID)
	return t.insert(tableContainers, c)
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
	company, err := t.company(cmd.ID, cmd.Operation)
	if err != nil {
		return nil // it is over
	}
	if company[0].Transfer.Step != model.TransferUndoing {
		return model.Errorf(model.KindConflict, "the move of container %s is not being undone", company[0].Name)
	}
	for i := range company {
		c := &company[i]
		way := c.Transfer
		if err := t.dropTransfer(c); err != nil {
			return err
		}
		c.LastTransfer = &model.TransferEnd{Operation: way.Operation, Failure: way.Failure, Ended: cmd.Time}
		t.touch(c.AccountID)
		if err := t.insert(tableContainers, c); err != nil {
			return err
		}
	}
	return nil
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
