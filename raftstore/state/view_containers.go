package state

import "github.com/spearheadcloud/spearhead/model"

// Containers lists an account's containers, the newest first.
func (v *View) Containers(accountID string) []*model.Container {
	return match[model.Container](v.txn, tableContainers, indexAccount+prefix, accountID)
}

// AllContainers lists the containers of all accounts.
func (v *View) AllContainers() []*model.Container {
	return list[model.Container](v.txn, tableContainers)
}

// Container finds a container by its whole id, whoever owns it.
func (v *View) Container(id string) (model.Container, bool) {
	return first[model.Container](v.txn, tableContainers, indexID, id)
}

// ContainerByName finds an account's container by name, without a slash.
func (v *View) ContainerByName(accountID, name string) (model.Container, bool) {
	return first[model.Container](v.txn, tableContainers, indexName, accountID, name)
}

// ContainersByPrefix lists an account's containers whose id begins with idPrefix.
func (v *View) ContainersByPrefix(accountID, idPrefix string) []*model.Container {
	var own []*model.Container
	for _, c := range match[model.Container](v.txn, tableContainers, indexID+prefix, idPrefix) {
		if c.AccountID == accountID {
			own = append(own, c)
		}
	}
	return own
}

// ContainerByOperation finds the container that an account's request made.
func (v *View) ContainerByOperation(accountID, operation string) (model.Container, bool) {
	return first[model.Container](v.txn, tableContainers, indexOperation, accountID, operation)
}

// ContainersOnNode lists a node's containers, reserved ones included.
func (v *View) ContainersOnNode(nodeID string) []*model.Container {
	return match[model.Container](v.txn, tableContainers, indexNode, nodeID)
}

// ContainersOfImage lists the containers made from an image, of all accounts.
func (v *View) ContainersOfImage(imageID string) []*model.Container {
	return match[model.Container](v.txn, tableContainers, indexImage, imageID)
}

// LinkedTo lists the containers that have a link to a container.
func (v *View) LinkedTo(id string) []*model.Container {
	return match[model.Container](v.txn, tableContainers, indexLink, id)
}
