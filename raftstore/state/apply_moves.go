package state

import (
	"slices"
	"strconv"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// moveContainer makes the container another node's. Entries of the old one's
// journal do not count from then on, since it is not that node's any more.
func (t *transaction) moveContainer(cmd command.MoveContainer) error {
	c, ok := t.Container(cmd.ID)
	if !ok {
		return model.Errorf(model.KindNotFound, "No such container: %s", cmd.ID)
	}
	if c.NodeID != cmd.From || c.Generation+1 != cmd.Generation || cmd.From == cmd.To || c.Phase != model.PhaseCreated {
		return model.Errorf(model.KindConflict, "container %s is not where it was to be moved from", c.ID)
	}
	if !c.Spec.Reschedules() {
		return model.Errorf(model.KindConflict, "the owner of container %s did not ask for it to be started on another node", c.ID)
	}
	if slices.ContainsFunc(c.Former, func(f model.FormerCopy) bool { return f.NodeID == cmd.To }) || c.Transfer != nil && c.Transfer.To == cmd.To {
		return model.Errorf(model.KindConflict, "the chosen node has an old copy of the container, which is being removed")
	}
	if c.Spec.MountsVolumes() {
		return model.Errorf(model.KindConflict, "container %s has volumes, whose files are on the node that it was on", c.ID)
	}
	to, err := t.node(cmd.To)
	if err != nil {
		return err
	}
	if !to.Approved || to.Cordoned || to.Lost {
		return model.Errorf(model.KindConflict, "the chosen node takes no containers")
	}
	if err := t.checkCapacity(to, cmd.Reserved); err != nil {
		return err
	}
	alive := c.State.Status.Running() || c.State.Status == model.StatusRestarting
	if alive {
		t.recordOf(&c, "die", cmd.Time, map[string]string{"exitCode": strconv.Itoa(lostExitCode)})
	}
	start := alive || c.Move != nil && c.Move.Start || c.Transfer != nil && c.Transfer.Start
	if err := t.leaveCompany(&c); err != nil {
		return err
	}
	if err := t.dropTransfer(&c); err != nil {
		return err
	}
	if err := t.promise(&c, -1); err != nil {
		return err
	}
	c.NodeID, c.Generation, c.Reserved = cmd.To, cmd.Generation, cmd.Reserved
	c.Move = &model.Move{From: cmd.From, Start: start, Since: cmd.Time}
	c.State = model.ContainerState{Status: model.StatusCreated, RestartCount: c.State.RestartCount}
	c.Execs, c.Update = nil, nil
	if err := t.promise(&c, 1); err != nil {
		return err
	}
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

func (t *transaction) settleMove(cmd command.SettleMove) error {
	c, ok := t.Container(cmd.ID)
	if !ok || c.Move == nil || c.Generation != cmd.Generation {
		return nil
	}
	c.Move = nil
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

func (t *transaction) findContainer(cmd command.FindContainer) error {
	c, ok := t.Container(cmd.ID)
	if !ok || c.NodeID != cmd.NodeID || c.State.Status != model.StatusDead {
		return nil
	}
	c.State = cmd.State
	if c.State.Status.Running() {
		t.recordOf(&c, "start", cmd.State.StartedAt, nil)
	}
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}
