package containers

import (
	"context"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Start implements dockerapi.Containers.
func (s *Service) Start(ctx context.Context, a model.Account, ref string) error {
	id := ""
	err := s.act(ctx, a, ref, func(n wire.Agent, c model.Container) (wire.Ack, error) {
		id = c.ID
		if err := s.prepareStart(ctx, n, &c); err != nil {
			s.discardRefused(ctx, n, &c)
			return wire.Ack{}, err
		}
		return n.Start(ctx, c.ID)
	})
	if model.IsKind(err, model.KindUnavailable) {
		s.failedStarts.tell(id)
	}
	if err != nil {
		return err
	}
	return s.published(ctx, id)
}

// Restart implements dockerapi.Containers.
func (s *Service) Restart(ctx context.Context, a model.Account, ref string, r wire.StopRequest) error {
	id := ""
	err := s.act(ctx, a, ref, func(n wire.Agent, c model.Container) (wire.Ack, error) {
		id = c.ID
		if err := s.prepareStart(ctx, n, &c); err != nil {
			return wire.Ack{}, err
		}
		return n.Restart(ctx, c.ID, r)
	})
	if err != nil {
		return err
	}
	return s.published(ctx, id)
}

// prepareStart refuses what cannot start because of other containers, and
// tells the node of links that have changed.
func (s *Service) prepareStart(ctx context.Context, n wire.Agent, c *model.Container) error {
	v := s.store.View()
	for _, check := range []func(*state.View, *model.Container) error{checkShared, checkLinks, checkGone, s.checkEndpoint} {
		if err := check(v, c); err != nil {
			return err
		}
	}
	if !c.LinksStale {
		return nil
	}
	links := append([]model.Link{}, c.Spec.Links...) // on the wire, nil would be no change
	if _, err := n.Update(ctx, c.ID, model.ContainerUpdate{Links: &links}); err != nil {
		return err
	}
	_, err := s.store.Propose(ctx, command.LinksTold{ID: c.ID, Links: c.Spec.Links})
	return err
}

// checkLinks refuses a start while a container that c is linked to does not
// run. One that was removed is no link any more.
func checkLinks(v *state.View, c *model.Container) error {
	if c.State.Status.Running() {
		return nil
	}
	for _, l := range c.Spec.Links {
		if other, ok := v.Container(l.ContainerID); ok && !other.State.Status.Running() {
			return model.Errorf(model.KindConflict, "Cannot link to a non running container: /%s AS /%s/%s", other.Name, c.Name, l.Alias)
		}
	}
	return nil
}

// checkGone refuses a start while the container is on a network that was
// removed meanwhile.
func checkGone(_ *state.View, c *model.Container) error {
	if c.State.Status.Running() || len(c.GoneNetworks) == 0 {
		return nil
	}
	gone := c.GoneNetworks[0]
	return model.Errorf(model.KindNotFound, "failed to set up container networking: network %s not found; let the container leave it with: docker network disconnect --force %s %s", gone.ID, gone.Name, c.Name)
}

// checkShared refuses a start while a container whose namespaces c shares does
// not run.
func checkShared(v *state.View, c *model.Container) error {
	if c.State.Status.Running() {
		return nil
	}
	for _, ns := range []struct{ mode, refusal string }{
		{c.Spec.Network, "cannot join network of a non running container: %s"},
		{c.Spec.PidMode, "cannot join PID namespace of a non running container: %s"},
		{c.Spec.IpcMode, "cannot join IPC namespace of a non running container: %s"},
	} {
		id, shared := strings.CutPrefix(ns.mode, "container:")
		if !shared {
			continue
		}
		other, ok := v.Container(id)
		switch {
		case !ok:
			return model.Errorf(model.KindNotFound, "No such container: %s", id)
		case other.State.Status == model.StatusRestarting:
			return model.Errorf(model.KindConflict, "Container %s is restarting, wait until the container is running", id)
		case !other.State.Status.Running():
			return model.Errorf(model.KindConflict, ns.refusal, id)
		}
	}
	return nil
}
