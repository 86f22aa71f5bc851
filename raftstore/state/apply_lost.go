package state

import (
	"strconv"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// lostExitCode is shown for a process whose end nobody saw.
const lostExitCode = 255

// loseContainer says of a container what its node cannot say any more. Should
// the node have it after all, its next journal entry about it counts again.
func (t *transaction) loseContainer(cmd command.LoseContainer) error {
	c, ok := t.Container(cmd.ID)
	if !ok || c.State.Status == model.StatusDead {
		return nil
	}
	if c.Phase == model.PhaseReserved {
		return model.Errorf(model.KindConflict, "container %s was never on its node: release its reservation", c.ID)
	}
	alive := c.State.Status.Running() || c.State.Status == model.StatusRestarting
	c.State.Status, c.State.Error, c.State.Pid = model.StatusDead, cmd.Reason, 0
	c.Execs = nil
	if err := t.leaveCompany(&c); err != nil {
		return err
	}
	if err := t.dropTransfer(&c); err != nil {
		return err
	}
	if alive {
		c.State.ExitCode, c.State.ExitUnknown, c.State.FinishedAt = lostExitCode, true, cmd.Time
		t.recordOf(&c, "die", cmd.Time, map[string]string{"exitCode": strconv.Itoa(lostExitCode)})
	}
	if alive && c.Spec.AutoRemove {
		t.recordOf(&c, model.ActionDestroy, cmd.Time, nil)
		return t.endContainer(&c, cmd.Time)
	}
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

func (t *transaction) forgetContainer(cmd command.ForgetContainer) error {
	c, ok := t.Container(cmd.ID)
	if !ok {
		return nil
	}
	if c.State.Status != model.StatusDead {
		return model.Errorf(model.KindConflict, "container %s is not dead: its node has to remove it", c.ID)
	}
	t.recordOf(&c, model.ActionDestroy, cmd.Time, nil)
	return t.dropContainer(&c)
}
