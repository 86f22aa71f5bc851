package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) reserveContainer(cmd command.ReserveContainer) error {
	c := cmd.Container
	if c.Operation != "" {
		if _, ok := t.ContainerByOperation(c.AccountID, c.Operation); ok {
			return nil
		}
	}
	if err := t.checkReservation(c); err != nil {
		return err
	}
	if err := t.checkRules(&c, cmd.Rules); err != nil {
		return err
	}
	c.Phase = model.PhaseReserved
	c.State = model.ContainerState{Status: model.StatusCreated}
	t.touch(c.AccountID)
	if err := t.takeVolumes(&c, cmd.Volumes); err != nil {
		return err
	}
	if err := t.checkCompany(&c); err != nil {
		return err
	}
	a, err := t.account(c.AccountID)
	if err != nil {
		return err
	}
	if err := t.CheckLimits(&a, &c); err != nil {
		return err
	}
	return t.addContainer(&c)
}

func (t *transaction) checkReservation(c model.Container) error {
	if !model.IsID(c.ID) {
		return model.Errorf(model.KindInvalid, "a container's id has 64 lower-case hex digits")
	}
	if c.Operation != "" {
		if err := checkKey("operation", c.Operation); err != nil {
			return err
		}
	}
	if _, err := t.account(c.AccountID); err != nil {
		return err
	}
	if _, ok := t.Container(c.ID); ok {
		return model.Errorf(model.KindConflict, "a container with the id %s exists already", c.ID)
	}
	if err := t.CheckName(c.AccountID, c.Name); err != nil {
		return err
	}
	n, err := t.node(c.NodeID)
	if err != nil {
		return err
	}
	if err := t.checkNode(n, &c); err != nil {
		return err
	}
	if c.Spec.ImageID != "" {
		if err := checkKey("image id", c.Spec.ImageID); err != nil {
			return err
		}
	}
	if err := t.checkLinks(c); err != nil {
		return err
	}
	if err := t.checkEndpoints(&c); err != nil {
		return err
	}
	return t.checkNICs(c)
}

// checkNode refuses a node that has changed since it was chosen.
func (t *transaction) checkNode(n model.Node, c *model.Container) error {
	switch {
	case !n.Approved:
		return model.Errorf(model.KindConflict, "the chosen node is not approved")
	case n.Cordoned || n.Lost:
		return model.Errorf(model.KindConflict, "the chosen node takes no containers any more; try again")
	case len(n.Owners) > 0 && !slices.Contains(n.Owners, c.AccountID):
		return model.Errorf(model.KindConflict, "the chosen node takes no containers of this account any more; try again")
	case n.MaxContainers > 0 && t.PromisedTo(n.ID) >= n.MaxContainers:
		return model.Errorf(model.KindExhausted, "the chosen node has as many containers as it may")
	}
	return t.checkCapacity(n, c.Reserved)
}

// checkRules refuses a node that breaks a rule of affinity beside the account's
// containers of this moment.
func (t *transaction) checkRules(c *model.Container, texts []string) error {
	if len(texts) == 0 {
		return nil
	}
	rules, err := affinity.ParseAll(texts)
	if err != nil {
		return err
	}
	n, err := t.node(c.NodeID)
	if err != nil {
		return err
	}
	return affinity.Check(rules, affinity.Place{ID: n.ID, Name: n.Name, Rack: n.Rack, Zone: n.Zone}, t.Containers(c.AccountID))
}

// CheckName refuses a name of a container that is no name or taken, in Docker's
// words.
func (v *View) CheckName(accountID, name string) error {
	if err := model.CheckContainerName(name); err != nil {
		return err
	}
	if holder, ok := v.ContainerByName(accountID, name); ok {
		return model.Errorf(model.KindConflict, "Conflict. The container name \"/%s\" is already in use by container %q. "+
			"You have to remove (or rename) that container to be able to reuse that name.", name, holder.ID)
	}
	return nil
}

func (t *transaction) releaseContainer(cmd command.ReleaseContainer) error {
	c, ok := t.Container(cmd.ID)
	if !ok {
		return nil
	}
	if c.Phase != model.PhaseReserved {
		return model.Errorf(model.KindConflict, "container %s exists on its node: its reservation cannot be released", c.ID)
	}
	if err := t.dropContainer(&c); err != nil {
		return err
	}
	return t.dropAnonymous(&c, c.Created)
}

func (t *transaction) renameContainer(cmd command.RenameContainer) error {
	c, ok := t.Container(cmd.ID)
	if !ok {
		return model.Errorf(model.KindNotFound, "No such container: %s", cmd.ID)
	}
	if c.Name == cmd.Name {
		return model.Errorf(model.KindInvalid, "Renaming a container with the same name as its current name")
	}
	if err := t.CheckName(c.AccountID, cmd.Name); err != nil {
		return err
	}
	old := c.Name
	c.Name = cmd.Name
	t.recordOf(&c, "rename", cmd.Time, map[string]string{"oldName": "/" + old})
	renameInOwnLinks(&c)
	if err := t.insert(tableContainers, &c); err != nil {
		return err
	}
	return t.renameInLinks(&c)
}

// addContainer writes a new container and what follows from it.
func (t *transaction) addContainer(c *model.Container) error {
	t.intern(c)
	if err := t.insert(tableContainers, c); err != nil {
		return err
	}
	return t.promise(c, 1)
}

// dropContainer forgets a container and frees all that was promised to it.
func (t *transaction) dropContainer(c *model.Container) error {
	if err := t.leaveCompany(c); err != nil {
		return err
	}
	if err := t.delete(tableContainers, c); err != nil {
		return err
	}
	t.touch(c.AccountID)
	if err := t.promise(c, -1); err != nil {
		return err
	}
	if err := t.forgetPackage(c.Package); err != nil {
		return err
	}
	if err := t.dropLinksTo(c); err != nil {
		return err
	}
	return t.forgetImage(c.Spec.ImageID)
}
