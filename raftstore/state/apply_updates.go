package state

import (
	"reflect"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) reserveUpdate(cmd command.ReserveUpdate) error {
	c, ok := t.Container(cmd.ID)
	if !ok {
		return model.Errorf(model.KindNotFound, "No such container: %s", cmd.ID)
	}
	if err := checkKey("operation", cmd.Operation); err != nil {
		return err
	}
	if c.Update != nil && c.Update.Operation == cmd.Operation {
		return nil
	}
	if c.Transfer != nil {
		return errTransferred(&c)
	}
	if c.Update != nil || c.Phase != model.PhaseCreated || !reflect.DeepEqual(c.Spec.Limits, cmd.Before) {
		return model.Errorf(model.KindConflict, "container %s is being updated; try again", c.ID)
	}
	n, err := t.node(c.NodeID)
	if err != nil {
		return err
	}
	if cmd.Needs.Memory < 0 || cmd.Needs.CPU < 0 || cmd.Needs.Disk < 0 {
		return model.Errorf(model.KindInvalid, "a container's needs are negative")
	}
	both := larger(c.Reserved, cmd.Needs)
	if err := t.checkCapacity(n, minus(both, c.Reserved)); err != nil {
		return err
	}
	a, err := t.account(c.AccountID)
	if err != nil {
		return err
	}
	if err := t.checkHoldings(&a, minus(both, c.Reserved)); err != nil {
		return err
	}
	c.Update = &model.PendingUpdate{Operation: cmd.Operation, Package: cmd.Package, Since: cmd.Time}
	return t.putReserved(&c, &c, both)
}

func (t *transaction) releaseUpdate(cmd command.ReleaseUpdate) error {
	c, ok := t.Container(cmd.ID)
	if !ok || c.Update == nil || c.Update.Operation != cmd.Operation {
		return nil
	}
	c.Update = nil
	return t.putReserved(&c, &c, c.Spec.Limits.Needs(c.Reserved))
}

// updateContainer applies what a node has changed in c, which the caller
// writes. While another update is under way, what is promised to it stays.
func (t *transaction) updateContainer(c *model.Container, u *model.ContainerUpdate) error {
	if u.Restart != nil {
		c.Spec.Restart = *u.Restart
	}
	if u.Limits == nil {
		return nil
	}
	before := *c
	c.Spec.Limits = *u.Limits
	needs := c.Spec.Limits.Needs(c.Reserved)
	switch {
	case c.Update == nil:
	case c.Update.Operation == u.Operation:
		c.Package, c.Update = c.Update.Package, nil
	default:
		needs = larger(c.Reserved, needs)
	}
	return t.putReserved(&before, c, needs)
}

// putReserved changes what is promised to a container, which was before, and
// writes it. It may have another package now.
func (t *transaction) putReserved(before, c *model.Container, r model.Resources) error {
	if err := t.promise(before, -1); err != nil {
		return err
	}
	c.Reserved = r
	if err := t.promise(c, 1); err != nil {
		return err
	}
	t.touch(c.AccountID)
	if err := t.insert(tableContainers, c); err != nil {
		return err
	}
	return t.forgetPackage(before.Package)
}

func larger(a, b model.Resources) model.Resources {
	return model.Resources{Memory: max(a.Memory, b.Memory), CPU: max(a.CPU, b.CPU), Disk: max(a.Disk, b.Disk)}
}

func minus(a, b model.Resources) model.Resources {
	return model.Resources{Memory: a.Memory - b.Memory, CPU: a.CPU - b.CPU, Disk: a.Disk - b.Disk}
}
