package containers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/networks"
	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// connectTries bounds how often an address is chosen anew that somebody else
// has got meanwhile.
const connectTries = 8

// Connect implements dockerapi.Connections: the state promises the NIC, and
// then the node makes it. What a node did not do is undone, on the node as
// well: by this request or, after a crash, by the leader.
func (s *Service) Connect(ctx context.Context, a model.Account, ref string, e model.Endpoint) error {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return err
	}
	defer leave()
	c, place, err := s.findBoth(a, ref, e.Network)
	if err != nil {
		return err
	}
	if err := mayConnect(&c, place); err != nil {
		return err
	}
	n := place.For(e.Address)
	if err := policy.Refuse(policy.CheckEndpoint(a, &n, &e)); err != nil {
		return err
	}
	joined, err := s.promiseNIC(ctx, c, place, &e)
	if err != nil {
		return err
	}
	if err := failpoint.Hit("head.connect.promised"); err != nil {
		return err
	}
	if err := s.settleNICs(ctx, c.ID); err != nil {
		return s.undoConnect(ctx, c.ID, joined, err)
	}
	return nil
}

// findBoth finds one of the account's containers and a network or pool that it
// may use. The container is found also if the other is not.
func (s *Service) findBoth(a model.Account, container, network string) (model.Container, networks.Place, error) {
	v := s.store.View()
	c, err := find(v, a.ID, container)
	if err != nil {
		return c, networks.Place{}, err
	}
	place, err := networks.FindPlace(v, a.ID, network)
	return c, place, err
}

// mayConnect refuses what has no NICs of its own to add one to, in Docker's words.
func mayConnect(c *model.Container, place networks.Place) error {
	if slices.ContainsFunc(c.NICs, func(nic model.NIC) bool { return place.Pool && place.Has(&nic) }) {
		return model.Errorf(model.KindForbidden, "endpoint with name %s already exists in network %s", c.Name, place.Name)
	}
	if ownNetwork(c.Spec.Network) {
		return nil
	}
	if c.Spec.Network == "none" {
		return model.Errorf(model.KindInvalid, "container cannot be connected to multiple networks with one of the networks in private (none) mode")
	}
	return model.Errorf(model.KindInvalid, "container sharing network namespace with another container or host cannot be connected to any other network: %s", place.Name)
}

// promiseNIC gives the container a NIC in the state, and returns the id of its
// network.
func (s *Service) promiseNIC(ctx context.Context, c model.Container, place networks.Place, e *model.Endpoint) (string, error) {
	hints := map[string]netip.Addr{}
	var others []model.NIC
	if place.Pool {
		others = c.NICs
	}
	for try := 1; ; try++ {
		v, n := s.store.View(), place.For(e.Address)
		nic := nicFor(&n, e, &c.Spec)
		if place.Pool {
			nic.PoolID = place.ID
		}
		nic.Interface, nic.Primary = freeInterface(&c), len(c.NICs) == 0
		if len(c.NICs) > 0 {
			nic.Rate = c.NICs[0].Rate
		}
		nic, err := networks.AssignIn(v, c.AccountID, nic, others, v.AddressUsed, func(network string) netip.Addr { return hints[network] })
		if err != nil {
			return "", err
		}
		hints[nic.NetworkID] = nic.Address.Addr()
		_, err = s.store.Propose(ctx, command.ConnectNIC{ContainerID: c.ID, NIC: nic, Time: time.Now().UTC()})
		if !model.IsKind(err, model.KindConflict) || e.Address.IsValid() || try == connectTries {
			return nic.NetworkID, err
		}
	}
}

// freeInterface is the first name that no NIC of the container has.
func freeInterface(c *model.Container) string {
	for i := 0; ; i++ {
		name := fmt.Sprintf("eth%d", i)
		has := func(n model.NIC) bool { return n.Interface == name }
		if !slices.ContainsFunc(c.NICs, has) && !slices.ContainsFunc(c.Leaving, has) {
			return name
		}
	}
}

// settleNICs tells the node of a container's NICs as they are now.
func (s *Service) settleNICs(ctx context.Context, id string) error {
	v := s.store.View()
	c, ok := v.Container(id)
	if !ok {
		return nil
	}
	ack, err := networks.SettleNICs(ctx, s.store, v, s.agents.Agent(c.NodeID), &c)
	if err != nil {
		return err
	}
	return s.see(ctx, c.NodeID, ack)
}

// undoConnect takes a NIC back that the node did not make.
func (s *Service) undoConnect(ctx context.Context, id, networkID string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if _, err := s.store.Propose(ctx, command.DisconnectNIC{ContainerID: id, NetworkID: networkID, Time: time.Now().UTC()}); err != nil {
		return fmt.Errorf("%w (and it could not be undone: %w)", cause, err)
	}
	if err := s.settleNICs(ctx, id); err != nil {
		s.log.Warn("cannot undo connecting a container; it is undone when its node is back", "container", id, "err", err)
	}
	return cause
}

// Disconnect implements dockerapi.Connections. With force it succeeds also when
// the node cannot be asked; the address stays the container's until it can.
func (s *Service) Disconnect(ctx context.Context, a model.Account, ref, network string, force bool) error {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return err
	}
	defer leave()
	c, id, err := s.findLeaving(a, ref, network, force)
	if err != nil {
		return err
	}
	if _, err := s.store.Propose(ctx, command.DisconnectNIC{ContainerID: c.ID, NetworkID: id, Time: time.Now().UTC()}); err != nil {
		return err
	}
	if err := failpoint.Hit("head.disconnect.promised"); err != nil {
		return err
	}
	if err := s.settleNICs(ctx, c.ID); err != nil && !force {
		return err
	}
	return nil
}

// findLeaving finds a container and the network that it is to leave. One that
// was removed while the container did not run is left with force, as with
// Docker.
func (s *Service) findLeaving(a model.Account, container, network string, force bool) (model.Container, string, error) {
	c, place, err := s.findBoth(a, container, network)
	if id, was := goneNetwork(&c, network); was && force && model.IsKind(err, model.KindNotFound) {
		return c, id, nil
	}
	if err != nil {
		return c, "", err
	}
	i := slices.IndexFunc(c.NICs, func(nic model.NIC) bool { return place.Has(&nic) })
	if i < 0 {
		return c, "", model.Errorf(model.KindForbidden, "container %s is not connected to network %s", c.ID, place.Name)
	}
	return c, c.NICs[i].NetworkID, nil
}

// goneNetwork finds the id of a network that was removed while a container of
// it did not run.
func goneNetwork(c *model.Container, ref string) (string, bool) {
	for _, gone := range c.GoneNetworks {
		if gone.Name == ref || ref != "" && strings.HasPrefix(gone.ID, ref) {
			return gone.ID, true
		}
	}
	return "", false
}

// networksOf are those that a container is on.
func networksOf(v *state.View, c *model.Container) []model.Network {
	var all []model.Network
	for _, nic := range c.NICs {
		if n, ok := v.Network(nic.NetworkID); ok {
			all = append(all, n)
		}
	}
	return all
}

// ensureNetwork makes the account's default fabric if the request needs it.
func (s *Service) ensureNetwork(ctx context.Context, v *state.View, a model.Account, mode string) error {
	if _, ok := networks.Default(v, a.ID); ok || !usualNetwork(mode) || s.fabrics == nil {
		return nil
	}
	return s.fabrics.EnsureDefault(ctx, a)
}
