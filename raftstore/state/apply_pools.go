package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/tables"
)

// tablePools holds pools of networks.
const tablePools = "network_pools"

// maxPoolNetworks bounds the networks of one pool.
const maxPoolNetworks = 64

func poolsTable() *tables.Table {
	return table(tablePools,
		unique(indexID, func(p *model.NetworkPool) []string { return []string{p.ID} }),
		unique(indexName, func(p *model.NetworkPool) []string { return []string{p.Name} }))
}

func (t *transaction) putNetworkPool(cmd command.PutNetworkPool) error {
	p := cmd.Pool
	if err := checkKey("id of the network pool", p.ID); err != nil {
		return err
	}
	if err := checkKey("name of the network pool", p.Name); err != nil {
		return err
	}
	if _, taken := t.NetworkByName(p.Name); taken {
		return model.Errorf(model.KindConflict, "network with name %s already exists", p.Name)
	}
	if same, ok := t.NetworkPoolByName(p.Name); ok && same.ID != p.ID {
		return model.Errorf(model.KindConflict, "a network pool with the name %s already exists", p.Name)
	}
	if err := t.checkPoolNetworks(&p); err != nil {
		return err
	}
	if p.Default {
		if err := t.dropDefaults("", p.ID); err != nil {
			return err
		}
	}
	return t.insert(tablePools, &p)
}

// dropDefaults takes from all networks of an account, or of the data center,
// and there from all pools, that they are the default one, but for the one
// with that id.
func (t *transaction) dropDefaults(accountID, but string) error {
	for _, old := range t.Networks() {
		if old.Default && old.ID != but && old.AccountID == accountID {
			other := *old
			other.Default = false
			if err := t.insert(tableNetworks, &other); err != nil {
				return err
			}
		}
	}
	if accountID != "" {
		return nil
	}
	for _, old := range t.NetworkPools() {
		if old.Default && old.ID != but {
			other := *old
			other.Default = false
			if err := t.insert(tablePools, &other); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPoolNetworks refuses networks among which a container could not go
// without minding: its node is chosen before its network.
func (t *transaction) checkPoolNetworks(p *model.NetworkPool) error {
	if len(p.Networks) == 0 || len(p.Networks) > maxPoolNetworks {
		return model.Errorf(model.KindInvalid, "network pool %s: it has %d networks, and must have 1 to %d", p.Name, len(p.Networks), maxPoolNetworks)
	}
	tag := ""
	for i, id := range p.Networks {
		n, ok := t.Network(id)
		switch {
		case !ok:
			return model.Errorf(model.KindNotFound, "network %s not found", id)
		case n.Kind != model.NetworkExternal:
			return model.Errorf(model.KindInvalid, "network pool %s: %s is no external network", p.Name, n.Name)
		case slices.Contains(p.Networks[:i], id):
			return model.Errorf(model.KindInvalid, "network pool %s: %s is named twice", p.Name, n.Name)
		case i > 0 && n.NICTag != tag:
			return model.Errorf(model.KindInvalid, "network pool %s: %s has the NIC tag %s, and the others have %s", p.Name, n.Name, n.NICTag, tag)
		}
		tag = n.NICTag
	}
	return nil
}

func (t *transaction) removeNetworkPool(cmd command.RemoveNetworkPool) error {
	p, ok := t.NetworkPool(cmd.ID)
	if !ok {
		return model.Errorf(model.KindNotFound, "no network pool %.64s; list them with: spearhead network pool ls", cmd.ID)
	}
	return t.delete(tablePools, &p)
}

// checkPooled refuses to change what a pool's networks have in common, or to
// take one away; gone says that the network is to be removed.
func (t *transaction) checkPooled(n *model.Network, gone bool) error {
	for _, p := range t.NetworkPools() {
		if p.Name == n.Name && !gone {
			return model.Errorf(model.KindConflict, "a network pool with the name %s already exists", n.Name)
		}
		if !slices.Contains(p.Networks, n.ID) {
			continue
		}
		if gone {
			return model.Errorf(model.KindForbidden, "network %s is in the network pool %s; take it out first", n.Name, p.Name)
		}
		if old, ok := t.Network(n.ID); ok && (old.NICTag != n.NICTag || old.Kind != n.Kind) && len(p.Networks) > 1 {
			return model.Errorf(model.KindConflict, "network %s is in the network pool %s: its kind and NIC tag cannot change", n.Name, p.Name)
		}
	}
	return nil
}

// NetworkPools lists all pools of networks.
func (v *View) NetworkPools() []*model.NetworkPool {
	return list[model.NetworkPool](v.txn, tablePools)
}

// NetworkPool finds a pool of networks by id.
func (v *View) NetworkPool(id string) (model.NetworkPool, bool) {
	return first[model.NetworkPool](v.txn, tablePools, indexID, id)
}

// NetworkPoolByName finds a pool of networks by its name.
func (v *View) NetworkPoolByName(name string) (model.NetworkPool, bool) {
	return first[model.NetworkPool](v.txn, tablePools, indexName, name)
}
