package state

import (
	"net/netip"

	"github.com/spearheadcloud/spearhead/raftstore/tables"

	"github.com/spearheadcloud/spearhead/model"
)

// View is the state after some entry. It never changes and is safe for any
// number of goroutines. Lists are sorted by id or name unless said otherwise.
type View struct {
	txn *tables.Txn
}

// Index is that of the last entry that this view includes.
func (v *View) Index() uint64 { return v.meta().Index }

func (v *View) meta() meta {
	m, _ := first[meta](v.txn, tableMeta, indexID, tableMeta)
	return m
}

// Accounts lists all accounts.
func (v *View) Accounts() []*model.Account { return list[model.Account](v.txn, tableAccounts) }

// Account finds an account by id.
func (v *View) Account(id string) (model.Account, bool) {
	return first[model.Account](v.txn, tableAccounts, indexID, id)
}

// AccountByLogin finds an account by its login, case mattering.
func (v *View) AccountByLogin(login string) (model.Account, bool) {
	return first[model.Account](v.txn, tableAccounts, indexLogin, login)
}

// AccountVersion is a number that changes whenever something that belongs to
// the account does; 0 for an account that is not there.
func (v *View) AccountVersion(accountID string) uint64 {
	row, _ := first[accountVersion](v.txn, tableVersions, indexID, accountID)
	return row.Index
}

// Packages lists all packages.
func (v *View) Packages() []*model.Package { return list[model.Package](v.txn, tablePackages) }

// Package finds a package by name.
func (v *View) Package(name string) (model.Package, bool) {
	return first[model.Package](v.txn, tablePackages, indexID, name)
}

// Networks lists all networks, also those that belong to an account.
func (v *View) Networks() []*model.Network { return list[model.Network](v.txn, tableNetworks) }

// Network finds a network by id.
func (v *View) Network(id string) (model.Network, bool) {
	return first[model.Network](v.txn, tableNetworks, indexID, id)
}

// NetworkByName finds a network that belongs to no account by its name.
func (v *View) NetworkByName(name string) (model.Network, bool) {
	return v.NetworkOfAccount("", name)
}

// NetworkOfAccount finds a network that belongs to an account by its name.
func (v *View) NetworkOfAccount(accountID, name string) (model.Network, bool) {
	return first[model.Network](v.txn, tableNetworks, indexName, accountID, name)
}

// AddressUsed reports whether a container or a builder has the address on the
// network.
func (v *View) AddressUsed(networkID string, addr netip.Addr) bool {
	return exists(v.txn, tableContainers, indexAddress, networkID, addr.String()) ||
		exists(v.txn, tableBuilders, indexAddress, networkID, addr.String())
}

// MACUsed reports whether a container or a builder has the hardware address,
// which is written as net.HardwareAddr prints it.
func (v *View) MACUsed(mac string) bool {
	return exists(v.txn, tableContainers, indexMAC, mac) || exists(v.txn, tableBuilders, indexMAC, mac)
}

// Builder tells where an account's images are built; it is not known before
// the first build.
func (v *View) Builder(accountID string) (model.Builder, bool) {
	return first[model.Builder](v.txn, tableBuilders, indexID, accountID)
}

// Builders lists those that have their homes on a node.
func (v *View) Builders(nodeID string) []*model.Builder {
	return match[model.Builder](v.txn, tableBuilders, indexNode, nodeID)
}

// Nodes lists all nodes.
func (v *View) Nodes() []*model.Node { return list[model.Node](v.txn, tableNodes) }

// Node finds a node by id.
func (v *View) Node(id string) (model.Node, bool) {
	return first[model.Node](v.txn, tableNodes, indexID, id)
}

// NodeByName finds a node by its host name.
func (v *View) NodeByName(name string) (model.Node, bool) {
	return first[model.Node](v.txn, tableNodes, indexName, name)
}

// Promised is what the node's containers may take together.
func (v *View) Promised(nodeID string) model.Resources {
	p, _ := first[promised](v.txn, tablePromised, indexID, nodeID)
	return p.Resources
}

// PromisedTo is the number of containers on the node, reserved ones included.
func (v *View) PromisedTo(nodeID string) int {
	p, _ := first[promised](v.txn, tablePromised, indexID, nodeID)
	return p.Containers
}

// Images lists all images.
func (v *View) Images() []*model.Image { return list[model.Image](v.txn, tableImages) }

// Image finds an image by id.
func (v *View) Image(id string) (model.Image, bool) {
	return first[model.Image](v.txn, tableImages, indexID, id)
}

// ImageNames lists an account's names for images.
func (v *View) ImageNames(accountID string) []*model.ImageName {
	return match[model.ImageName](v.txn, tableImageNames, indexID+prefix, accountID, "")
}

// ImageName finds what an account means by a normalized reference.
func (v *View) ImageName(accountID, ref string) (model.ImageName, bool) {
	return first[model.ImageName](v.txn, tableImageNames, indexID, accountID, ref)
}

// NamesOfImage lists the names for an image, of all accounts.
func (v *View) NamesOfImage(imageID string) []*model.ImageName {
	return match[model.ImageName](v.txn, tableImageNames, indexImage, imageID)
}

// Setting returns the value of a setting.
func (v *View) Setting(name string) (string, bool) {
	s, ok := first[setting](v.txn, tableSettings, indexID, name)
	return s.Value, ok
}

// Events lists the events after a place, of all accounts, in order. Events
// that are too old are gone; (0, 0) gives all that are kept.
func (v *View) Events(afterIndex uint64, afterOrder int) []*model.Event {
	it, err := v.txn.LowerBound(tableEvents, indexID, afterIndex, afterOrder)
	if err != nil {
		return nil
	}
	events := collect[model.Event](it)
	if len(events) > 0 && events[0].Index == afterIndex && events[0].Order == afterOrder {
		return events[1:]
	}
	return events
}
