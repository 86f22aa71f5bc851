package state

import (
	"net/netip"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) putNetwork(c command.PutNetwork) error {
	n := c.Network
	if err := t.checkNetwork(n); err != nil {
		return err
	}
	if n.Default {
		if err := t.dropDefaults(n.AccountID, n.ID); err != nil {
			return err
		}
	}
	if n.AccountID != "" {
		t.touch(n.AccountID)
	}
	return t.insert(tableNetworks, &n)
}

func (t *transaction) checkNetwork(n model.Network) error {
	if err := checkKey("network id", n.ID); err != nil {
		return err
	}
	if err := checkKey("network name", n.Name); err != nil {
		return err
	}
	if n.Kind != model.NetworkExternal && n.Kind != model.NetworkFabric {
		return model.Errorf(model.KindInvalid, "network %s: unknown kind %q", n.Name, n.Kind)
	}
	if err := checkAddresses(n); err != nil {
		return err
	}
	if n.AccountID != "" {
		if _, err := t.account(n.AccountID); err != nil {
			return err
		}
	}
	if same, ok := t.NetworkOfAccount(n.AccountID, n.Name); ok && same.ID != n.ID {
		return model.Errorf(model.KindConflict, "network with name %s already exists", n.Name)
	}
	if n.AccountID == "" {
		if err := t.checkPooled(&n, false); err != nil {
			return err
		}
		if err := t.checkRange(&n); err != nil {
			return err
		}
	}
	old, ok := t.Network(n.ID)
	if !ok {
		return t.checkNetworkCount(n.AccountID)
	}
	fixed := old.Kind == n.Kind && old.AccountID == n.AccountID && old.NICTag == n.NICTag && old.VLAN == n.VLAN &&
		old.VNI == n.VNI && old.Subnet == n.Subnet && old.Gateway == n.Gateway
	if !fixed && t.networkInUse(n.ID) {
		return model.Errorf(model.KindConflict, "network %s has containers on it: its kind, place, subnet and gateway cannot change", old.Name)
	}
	return nil
}

// checkNetworkCount refuses one more network of an account that has as many as
// it may.
func (t *transaction) checkNetworkCount(accountID string) error {
	a, ok := t.Account(accountID)
	if !ok {
		return nil
	}
	return checkCount(a.Limits.Networks, t.networksOf(a.ID), "networks")
}

func checkAddresses(n model.Network) error {
	if !n.Subnet.IsValid() || n.Subnet != n.Subnet.Masked() {
		return model.Errorf(model.KindInvalid, "network %s: the subnet is not a network address with a length", n.Name)
	}
	for _, a := range []struct {
		name string
		addr netip.Addr
	}{{"first", n.First}, {"last", n.Last}} {
		if !n.Subnet.Contains(a.addr) {
			return model.Errorf(model.KindInvalid, "network %s: the %s address is not in the subnet", n.Name, a.name)
		}
	}
	if n.Last.Less(n.First) {
		return model.Errorf(model.KindInvalid, "network %s: the last address comes before the first", n.Name)
	}
	if n.Gateway.IsValid() && !n.Subnet.Contains(n.Gateway) {
		return model.Errorf(model.KindInvalid, "network %s: the gateway is not in the subnet", n.Name)
	}
	return nil
}

// checkRange refuses a network that gives out addresses which another one on
// the same wire does.
func (t *transaction) checkRange(n *model.Network) error {
	for _, o := range t.Networks() {
		if o.ID == n.ID || o.Kind != model.NetworkExternal || o.NICTag != n.NICTag || o.VLAN != n.VLAN {
			continue
		}
		meet := !n.Last.Less(o.First) && !o.Last.Less(n.First)
		meet6 := n.First6.IsValid() && o.First6.IsValid() && !n.Last6.Less(o.First6) && !o.Last6.Less(n.First6)
		if meet || meet6 {
			return model.Errorf(model.KindConflict, "network %s on the same wire (NIC tag %s, VLAN %d) gives out the same addresses; choose another range", o.Name, o.NICTag, o.VLAN)
		}
	}
	return nil
}

func (t *transaction) networkInUse(id string) bool {
	for _, table := range []string{tableContainers, tableBuilders} {
		if it, err := t.txn.Get(table, indexAddress+prefix, id); err == nil && it.Next() != nil {
			return true
		}
	}
	return false
}

func (t *transaction) setSetting(c command.SetSetting) error {
	if err := checkKey("name of the setting", c.Name); err != nil {
		return err
	}
	return t.insert(tableSettings, &setting{Name: c.Name, Value: c.Value})
}
