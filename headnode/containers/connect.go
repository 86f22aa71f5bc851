package containers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
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
	c, n, err := s.findBoth(a, ref, e.Network)
	if err != nil {
		return err
	}
	if err := mayConnect(&c, &n); err != nil {
		return err
	}
	if err := policy.Refuse(policy.CheckEndpoint(a, &n, &e)); err != nil {
		return err
	}
	if err := s.promiseNIC(ctx, c, &n, &e); err != nil {
		return err
	}
	if err := failpoint.Hit("head.connect.promised"); err != nil {
		return err
	}
	if err := s.settleNICs(ctx, c.ID); err != nil {
		return s.undoConnect(ctx, c.ID, n.ID, err)
	}
	return nil
}

// findBoth finds one of the account's containers and a network that it may use.
func (s *Service) findBoth(a model.Account, container, network string) (model.Container, model.Network, error) {
	v := s.store.View()
	c, err := find(v, a.ID, container)
	if err != nil {
		return c, model.Network{}, err
	}
	n, err := networks.Find(v, a.ID, network)
	return c, n, err
}

// mayConnect refuses what has no NICs of its own to add one to, in Docker's words.
func mayConnect(c *model.Container, n *model.Network) error {
	if ownNetwork(c.Spec.Network) {
		return nil
	}
	if c.Spec.Network == "none" {
		return model.Errorf(model.KindInvalid, "container cannot be connected to multiple networks with one of the networks in private (none) mode")
	}
	return model.Errorf(model.KindInvalid, "container sharing network namespace with another container or host cannot be connected to any other network: %s", n.Name)
}

// promiseNIC gives the container a NIC in the state.
func (s *Service) promiseNIC(ctx context.Context, c model.Container, n *model.Network, e *model.Endpoint) error {
	hint := netip.Addr{}
	for try := 1; ; try++ {
		v := s.store.View()
		used := func(a netip.Addr) bool { return v.AddressUsed(n.ID, a) }
		nic := nicFor(n, e, &c.Spec)
		nic.Interface, nic.Primary = freeInterface(&c), len(c.NICs) == 0
		if len(c.NICs) > 0 {
			nic.Rate = c.NICs[0].Rate
		}
		nic, err := networks.Assign(n, nic, used, hint)
		if err != nil {
			return err
		}
		hint = nic.Address.Addr()
		_, err = s.store.Propose(ctx, command.ConnectNIC{ContainerID: c.ID, NIC: nic, Time: time.Now().UTC()})
		if !model.IsKind(err, model.KindConflict) || e.Address.IsValid() || try == connectTries {
			return err
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
	c, n, err := s.findBoth(a, ref, network)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(c.NICs, func(nic model.NIC) bool { return nic.NetworkID == n.ID }) {
		return model.Errorf(model.KindForbidden, "container %s is not connected to network %s", c.ID, n.Name)
	}
	if _, err := s.store.Propose(ctx, command.DisconnectNIC{ContainerID: c.ID, NetworkID: n.ID, Time: time.Now().UTC()}); err != nil {
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

// ensureNetwork makes the account's default fabric if the request needs it.
func (s *Service) ensureNetwork(ctx context.Context, v *state.View, a model.Account, mode string) error {
	if _, ok := networks.Default(v, a.ID); ok || !usualNetwork(mode) || s.fabrics == nil {
		return nil
	}
	return s.fabrics.EnsureDefault(ctx, a)
}
