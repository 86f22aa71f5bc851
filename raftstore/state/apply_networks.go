package state

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// maxVNI is the largest number of a network on the wire (RFC 7348, 5).
const maxVNI = 1<<24 - 1

func (t *transaction) createNetwork(cmd command.CreateNetwork) error {
	n := cmd.Network
	if old, ok := t.Network(n.ID); ok && old.AccountID == n.AccountID && old.Name == n.Name {
		return nil
	}
	if n.Kind != model.NetworkFabric || n.AccountID == "" {
		return model.Errorf(model.KindInvalid, "network %s is no fabric of an account", n.Name)
	}
	if err := t.checkNetwork(n); err != nil {
		return err
	}
	if err := t.checkFabric(&n); err != nil {
		return err
	}
	t.recordOfNetwork(&n, "create", n.Created, nil)
	return t.insert(tableNetworks, &n)
}

// checkFabric refuses what would meet another network: on the wire any, in
// addresses those of the same account.
func (t *transaction) checkFabric(n *model.Network) error {
	if n.VNI == 0 || n.VNI > maxVNI {
		return model.Errorf(model.KindInvalid, "network %s: the VNI %d is not 1 to %d", n.Name, n.VNI, maxVNI)
	}
	for _, other := range t.Networks() {
		if other.VNI == n.VNI {
			return model.Errorf(model.KindConflict, "the VNI %d is taken", n.VNI)
		}
		if other.AccountID == n.AccountID && !other.Removing && (other.Subnet.Overlaps(n.Subnet) || n.Subnet6.IsValid() && other.Subnet6.IsValid() && other.Subnet6.Overlaps(n.Subnet6)) {
			return model.Errorf(model.KindForbidden, "Pool overlaps with other one on this address space")
		}
	}
	return nil
}

func (t *transaction) removeNetwork(cmd command.RemoveNetwork) error {
	n, ok := t.Network(cmd.ID)
	if !ok {
		return nil
	}
	if n.Removing {
		if t.networkInUse(n.ID) {
			return nil
		}
		return t.delete(tableNetworks, &n)
	}
	if t.NetworkActive(&n) {
		return model.Errorf(model.KindForbidden, "error while removing network: network %s id %s has active endpoints (%s)",
			n.Name, n.ID, strings.Join(t.endpoints(&n), ", "))
	}
	if err := t.checkPooled(&n, true); err != nil {
		return err
	}
	if n.AccountID != "" {
		t.recordOfNetwork(&n, "destroy", cmd.Time, nil)
	}
	if t.networkInUse(n.ID) {
		return t.abandonNetwork(n)
	}
	return t.delete(tableNetworks, &n)
}

// NetworkActive reports whether a network cannot be removed. A fabric can be
// while what is on it does not run.
func (v *View) NetworkActive(n *model.Network) bool {
	if n.AccountID == "" || exists(v.txn, tableBuilders, indexAddress+prefix, n.ID) {
		return exists(v.txn, tableContainers, indexAddress+prefix, n.ID) || exists(v.txn, tableBuilders, indexAddress+prefix, n.ID)
	}
	return slices.ContainsFunc(v.ContainersOnNetwork(n.ID), active)
}

// active reports whether a container runs, or may without a head's word in a
// moment.
func active(c *model.Container) bool {
	return c.Phase != model.PhaseCreated || c.State.Status.Running() || c.State.Status == model.StatusRestarting || c.Move != nil
}

// abandonNetwork takes a network from containers that do not run. Its number on
// the wire is nobody else's until their nodes have let go of it.
func (t *transaction) abandonNetwork(n model.Network) error {
	for _, row := range t.ContainersOnNetwork(n.ID) {
		c := *row
		i := slices.IndexFunc(c.NICs, func(nic model.NIC) bool { return nic.NetworkID == n.ID })
		if i < 0 {
			continue // it is leaving already
		}
		c.GoneNetworks = append(slices.Clip(c.GoneNetworks), model.GoneNetwork{ID: n.ID, Name: n.Name})
		takeNIC(&c, i)
		t.touch(c.AccountID)
		if err := t.insert(tableContainers, &c); err != nil {
			return err
		}
	}
	n.Name, n.Removing, n.Default = n.ID, true, false
	t.touch(n.AccountID)
	return t.insert(tableNetworks, &n)
}

// takeNIC lets a NIC of a container leave. The default route goes to another.
func takeNIC(c *model.Container, i int) {
	gone := c.NICs[i]
	c.NICs = slices.Delete(slices.Clone(c.NICs), i, i+1)
	if gone.Primary && len(c.NICs) > 0 {
		c.NICs = withPrimary(c.NICs, c.NICs[0].NetworkID)
	}
	c.Leaving, c.NICsStale = append(slices.Clip(c.Leaving), gone), true
}

// removeNetworksOf removes the networks of an account without containers.
func (t *transaction) removeNetworksOf(accountID string) error {
	for _, n := range t.Networks() {
		if n.AccountID != accountID {
			continue
		}
		if err := t.delete(tableNetworks, n); err != nil {
			return err
		}
	}
	return nil
}

// endpoints names what the owner of a network has on it, in Docker's way. What
// others have is only counted.
func (t *transaction) endpoints(n *model.Network) (names []string) {
	others := 0
	for _, c := range t.ContainersOnNetwork(n.ID) {
		if n.AccountID != c.AccountID {
			others++
			continue
		}
		if n.AccountID != "" && !active(c) {
			continue
		}
		names = append(names, fmt.Sprintf("name:%q id:%q", c.Name, model.ShortID(c.ID)))
	}
	if others > 0 {
		names = append(names, strconv.Itoa(others)+" containers")
	}
	if len(names) == 0 {
		names = append(names, "a builder")
	}
	return names
}

func (t *transaction) connectNIC(cmd command.ConnectNIC) error {
	c, ok := t.Container(cmd.ContainerID)
	if !ok || c.Phase == model.PhaseReserved {
		return model.Errorf(model.KindNotFound, "No such container: %s", cmd.ContainerID)
	}
	if c.Transfer != nil {
		return errTransferred(&c)
	}
	n, ok := t.Network(cmd.NIC.NetworkID)
	if !ok {
		return model.Errorf(model.KindNotFound, "network %s not found", cmd.NIC.NetworkID)
	}
	on := func(nic model.NIC) bool { return nic.NetworkID == n.ID }
	if i := slices.IndexFunc(c.NICs, on); i >= 0 {
		if reflect.DeepEqual(c.NICs[i], cmd.NIC) {
			return nil
		}
		return model.Errorf(model.KindForbidden, "endpoint with name %s already exists in network %s", c.Name, n.Name)
	}
	if slices.ContainsFunc(c.Leaving, on) {
		return model.Errorf(model.KindConflict, "container %s is still leaving network %s; try again in a moment", c.Name, n.Name)
	}
	if len(c.NICs) >= maxNICs {
		return model.Errorf(model.KindForbidden, "container %s is on %d networks, and that is the most", c.Name, maxNICs)
	}
	if err := t.checkNICs(model.Container{AccountID: c.AccountID, NICs: []model.NIC{cmd.NIC}}); err != nil {
		return err
	}
	c.NICs = append(slices.Clip(c.NICs), cmd.NIC)
	if cmd.NIC.Primary {
		c.NICs = withPrimary(c.NICs, n.ID)
	}
	c.NICsStale = true
	t.recordOfNetwork(&n, "connect", cmd.Time, &c)
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

// maxNICs bounds the networks of one container.
const maxNICs = 32

func (t *transaction) disconnectNIC(cmd command.DisconnectNIC) error {
	c, ok := t.Container(cmd.ContainerID)
	if !ok {
		return model.Errorf(model.KindNotFound, "No such container: %s", cmd.ContainerID)
	}
	if gone := slices.IndexFunc(c.GoneNetworks, func(g model.GoneNetwork) bool { return g.ID == cmd.NetworkID }); gone >= 0 {
		c.GoneNetworks = slices.Delete(slices.Clone(c.GoneNetworks), gone, gone+1)
		t.touch(c.AccountID)
		return t.insert(tableContainers, &c)
	}
	i := slices.IndexFunc(c.NICs, func(nic model.NIC) bool { return nic.NetworkID == cmd.NetworkID })
	if i < 0 {
		return nil
	}
	if c.Transfer != nil {
		return errTransferred(&c)
	}
	takeNIC(&c, i)
	if n, ok := t.Network(cmd.NetworkID); ok {
		t.recordOfNetwork(&n, "disconnect", cmd.Time, &c)
	}
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

// withPrimary gives the default route to the NIC of one network, and takes it
// from the others.
func withPrimary(nics []model.NIC, networkID string) []model.NIC {
	nics = slices.Clone(nics)
	for i := range nics {
		nics[i].Primary = nics[i].NetworkID == networkID
	}
	return nics
}

func (t *transaction) nicsTold(cmd command.NICsTold) error {
	c, ok := t.Container(cmd.ContainerID)
	same := func(a, b []model.NIC) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }
	if !ok || !c.NICsStale || !same(c.NICs, cmd.NICs) || !same(c.Leaving, cmd.Leaving) {
		return nil
	}
	c.NICsStale, c.Leaving = false, nil
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

// recordOfNetwork adds an event about an account's network, or about one that
// its container c joins or leaves.
func (t *transaction) recordOfNetwork(n *model.Network, action string, at time.Time, c *model.Container) {
	account, attributes := n.AccountID, maps.Clone(n.Labels)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["name"], attributes["type"] = n.Name, model.NetworkDriver(n)
	if c != nil {
		account, attributes["container"] = c.AccountID, c.ID
	}
	t.record(model.Event{Time: at, AccountID: account, Type: typeNetwork, Action: action, ActorID: n.ID, Attributes: attributes})
}
