package task

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network"
	"github.com/spearheadcloud/spearhead/wire"
)

// Connect gives the container one more NIC, or another one on a network that
// it is on.
func (t *Task) Connect(ctx context.Context, r wire.ConnectRequest) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) {
		reply(t.rewire(func(next *wire.CreateRequest) {
			leave(next, r.Network.ID)
			if r.NIC.Primary {
				setPrimary(next, "")
			}
			next.Container.NICs = append(next.Container.NICs, r.NIC)
			next.Networks = append(next.Networks, r.Network)
		}))
	})
}

// Disconnect takes the container off a network.
func (t *Task) Disconnect(ctx context.Context, r wire.DisconnectRequest) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) {
		reply(t.rewire(func(next *wire.CreateRequest) {
			leave(next, r.NetworkID)
			if r.Primary != "" {
				setPrimary(next, r.Primary)
			}
		}))
	})
}

func leave(r *wire.CreateRequest, network string) {
	r.Container.NICs = slices.DeleteFunc(r.Container.NICs, func(n model.NIC) bool { return n.NetworkID == network })
	r.Networks = slices.DeleteFunc(r.Networks, func(n model.Network) bool { return n.ID == network })
}

// setPrimary gives the default route to the NIC on a network; "" to none.
func setPrimary(r *wire.CreateRequest, network string) {
	for i := range r.Container.NICs {
		r.Container.NICs[i].Primary = r.Container.NICs[i].NetworkID == network
	}
}

// rewire changes the container's NICs: in the record first, and then, if it
// runs, in its network. If that fails both are as before.
func (t *Task) rewire(change func(*wire.CreateRequest)) (wire.Ack, error) {
	switch {
	case t.absent():
		return wire.Ack{}, NotFound(t.id)
	case t.status.Phase == state.PhaseRemoving:
		return wire.Ack{}, model.Errorf(model.KindConflict, "container %s is marked for removal and cannot be connected or disconnected", t.id)
	case t.spec().Network == "none" || t.spec().Network == "host" || strings.HasPrefix(t.spec().Network, "container:"):
		return wire.Ack{}, model.Errorf(model.KindConflict, "container %s has network mode %s and no networks of its own", t.id, t.spec().Network)
	}
	before, next := t.request, *t.request
	next.Container.NICs, next.Networks = slices.Clone(next.Container.NICs), slices.Clone(next.Networks)
	change(&next)
	if t.status.Phase != state.PhaseRunning {
		return t.recordRequest(&next, t.status)
	}
	status := t.status
	status.Rewiring = true
	if _, err := t.recordRequest(&next, status); err != nil {
		return wire.Ack{}, err
	}
	var undo revert.Stack
	defer undo.Revert()
	undo.Add(func() { t.restoreNICs(before) })
	if err := failpoint.Hit("agent/rewire-recorded"); err != nil {
		return wire.Ack{}, err
	}
	if err := t.applyNICs(); err != nil {
		return wire.Ack{}, err
	}
	if err := failpoint.Hit("agent/rewire-applied"); err != nil {
		return wire.Ack{}, err
	}
	status.Rewiring = false
	ack, err := t.record(status)
	if err != nil {
		return ack, err
	}
	undo.Success()
	return ack, nil
}

// recordRequest writes a changed request down and makes it the task's.
func (t *Task) recordRequest(r *wire.CreateRequest, next state.Status) (wire.Ack, error) {
	before := t.request
	t.request = r
	ack, err := t.commit(state.Change{Request: r, Status: &next}, next)
	if err != nil {
		t.request = before
	}
	return ack, err
}

// applyNICs gives a running container the NICs of its request.
func (t *Task) applyNICs() error {
	ctx, cancel := t.step()
	defer cancel()
	if _, err := t.node.Network.Attach(ctx, attachment(t.request)); err != nil {
		return t.refusal("rewire", err)
	}
	hosts, err := hostsFile(&t.request.Container)
	if err != nil {
		return err
	}
	// In place: the container has this very file bound over its own.
	if err := os.WriteFile(etcPaths(t.node.Dir, t.id).hosts, hosts, 0o644); err != nil {
		return model.WrapError(model.KindInternal, err, "cannot tell container %s its addresses", t.id)
	}
	return nil
}

// restoreNICs undoes a change of NICs that came to nothing.
func (t *Task) restoreNICs(before *wire.CreateRequest) {
	t.request = before
	err := t.applyNICs()
	status := t.status
	status.Rewiring = err != nil
	if err != nil {
		t.log.Error("cannot give a container its former networks back; it has them when it starts again", "op", "rewire", "err", err)
	}
	if _, err := t.recordRequest(before, status); err != nil {
		t.log.Error("cannot record the networks of a container", "op", "rewire", "err", err)
	}
}

// finishRewiring carries out what the last process had begun.
func (t *Task) finishRewiring() {
	if err := t.applyNICs(); err != nil {
		t.log.Error("cannot connect a container to its networks; it is when it starts again", "op", "recover", "err", err)
		return
	}
	next := t.status
	next.Rewiring = false
	if _, err := t.record(next); err != nil {
		t.log.Error("cannot record the networks of a container", "op", "recover", "err", err)
	}
}

// attachment is what a container's network is made of.
func attachment(r *wire.CreateRequest) network.Attachment {
	c := &r.Container
	a := network.Attachment{Container: c.ID, Account: c.AccountID, NICs: c.NICs, Networks: r.Networks, Resolver: true}
	for _, server := range c.Spec.DNS {
		if addr, err := netip.ParseAddr(server); err == nil {
			a.DNS = append(a.DNS, addr)
		}
	}
	return a
}
