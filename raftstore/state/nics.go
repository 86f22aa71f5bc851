package state

import (
	"net/netip"

	"github.com/spearheadcloud/spearhead/model"
)

// checkNICs refuses what the NICs of a new container or builder cannot have:
// networks that are not its account's to use, and what others have already.
func (t *transaction) checkNICs(c model.Container) error {
	addresses, macs := map[string]bool{}, map[string]bool{}
	for _, nic := range c.NICs {
		n, ok := t.Network(nic.NetworkID)
		if !ok || !n.UsableBy(c.AccountID) {
			return model.Errorf(model.KindNotFound, "network %s not found", nic.NetworkID)
		}
		for _, a := range []struct {
			have           netip.Prefix
			subnet         netip.Prefix
			gateway        netip.Addr
			needed, absent bool
		}{
			{nic.Address, n.Subnet, n.Gateway, true, false},
			{nic.Address6, n.Subnet6, n.Gateway6, n.Subnet6.IsValid(), !n.Subnet6.IsValid()},
		} {
			switch {
			case !a.have.IsValid() && !a.needed:
				continue
			case a.absent, !a.subnet.Contains(a.have.Addr()), a.have.Bits() != a.subnet.Bits(), a.have.Addr() == a.gateway:
				return model.Errorf(model.KindInvalid, "address %s cannot be given to a container on network %s", a.have, n.Name)
			}
			id := n.ID + " " + a.have.Addr().String()
			if addresses[id] || t.AddressUsed(n.ID, a.have.Addr()) || n.Reserves(a.have.Addr()) {
				return model.Errorf(model.KindConflict, "Address already in use")
			}
			addresses[id] = true
		}
		if nic.MAC == "" {
			continue
		}
		if !canonicalMAC(nic.MAC) {
			return model.Errorf(model.KindInvalid, "invalid MAC address %q: use six lower-case hex bytes with colons", nic.MAC)
		}
		if macs[nic.MAC] || t.MACUsed(nic.MAC) {
			return model.Errorf(model.KindConflict, "MAC address %s is in use", nic.MAC)
		}
		macs[nic.MAC] = true
	}
	return nil
}

// canonicalMAC reports whether s is a MAC address in the one form that makes
// equal addresses equal strings.
func canonicalMAC(s string) bool {
	if len(s) != 17 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case i%3 == 2:
			if c != ':' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// ContainersOnNetwork lists the containers, of all accounts, that have an
// address on a network, each once.
func (v *View) ContainersOnNetwork(networkID string) []*model.Container {
	var found []*model.Container
	seen := map[string]bool{}
	for _, c := range match[model.Container](v.txn, tableContainers, indexAddress+prefix, networkID) {
		if !seen[c.ID] {
			seen[c.ID] = true
			found = append(found, c)
		}
	}
	return found
}

// ContainerByAddress finds the container that has an address on a network.
func (v *View) ContainerByAddress(networkID string, a netip.Addr) (model.Container, bool) {
	for _, c := range match[model.Container](v.txn, tableContainers, indexAddress, networkID, a.String()) {
		return *c, true
	}
	return model.Container{}, false
}
