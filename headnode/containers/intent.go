package containers

import (
	"context"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Intent is all that the decision about a new container needs. The head that
// was asked makes it, after admission; the leader decides. It travels as JSON.
type Intent struct {
	// Container is the record to be: id, name, account, package, operation,
	// specification and, in Reserved, what it needs. The decision fills in its
	// node. NICs say on which networks it will be; one without an address is
	// given one, and a MAC.
	Container model.Container `json:"container"`
	// Platform is the GOARCH of the image; "" is any.
	Platform string `json:"platform,omitempty"`
	// NodeID is the only node allowed, as for a shared namespace; "" is any.
	NodeID string `json:"node_id,omitempty"`
	// LocalImage says that the image is at no registry, only on its holders.
	LocalImage bool `json:"local_image,omitempty"`
	// Traits are those that the node must have, and no others.
	Traits []string `json:"traits,omitempty"`
	// HeldDisk says that the account asked for a disk size itself, so that only
	// a node will do that holds the container to it.
	HeldDisk bool `json:"held_disk,omitempty"`
	// Rules are expressions of affinity; see model/affinity.
	Rules []string `json:"rules,omitempty"`
	// Volumes are those to be made with the container, for mounts that name
	// none which is there. Mounts of volumes that are on a node pin the
	// container to it; all others are bound to the node that is chosen.
	Volumes []model.Volume `json:"volumes,omitempty"`
}

// Reserver decides where a container goes and reserves all that it needs, in
// one entry. The leader's Service is one; on other heads it is the way to it.
// The same Intent again makes no second container.
type Reserver interface {
	Reserve(ctx context.Context, in Intent) (model.Container, error)
}

// maxNameDraws is how often a name is drawn before digits are added to it.
const maxNameDraws = 8

// reserve has the container of a plan reserved. It counts as being worked on
// from before the reservation can be seen; the caller ends that. A name that
// was drawn by lot and that somebody else got is drawn again. It returns false
// with a container that the same operation, sent twice at once, has made of the
// other request.
func (s *Service) reserve(ctx context.Context, p plan) (c model.Container, own bool, err error) {
	for draw := 0; ; draw++ {
		in := p.intent(s.store.View(), draw)
		s.working.Add(in.Container.ID)
		c, err := s.reserver.Reserve(ctx, in)
		if err == nil && c.ID == in.Container.ID {
			return c, true, nil
		}
		s.working.Remove(in.Container.ID)
		if err == nil || p.request.Name != "" || draw > maxNameDraws || !model.IsKind(err, model.KindConflict) {
			return c, false, err
		}
	}
}

// intent makes the intent of a plan.
func (p plan) intent(v *state.View, draw int) Intent {
	id, name := model.NewID(), p.name(v, draw)
	spec := p.request.Spec
	if spec.Hostname == "" && spec.UTSMode != "host" && spec.Network != "host" {
		spec.Hostname = model.ShortID(id)
	}
	spec.Links = linksOf(p.links, name)
	in := Intent{
		Container: model.Container{
			ID: id, Name: name, AccountID: p.account.ID, Created: time.Now().UTC(), Phase: model.PhaseReserved,
			Package: p.pkg.Name, Reserved: p.need, Spec: spec, State: model.ContainerState{Status: model.StatusCreated},
			Operation: p.request.Operation, DockerRequest: p.request.DockerRequest,
		},
		Platform: p.image.Architecture, NodeID: p.nodeID, LocalImage: p.local, Rules: p.rules, Traits: p.traits, HeldDisk: p.heldDisk, Volumes: p.request.Volumes,
	}
	in.Container.NICs = p.nics
	return in
}

// name is the one asked for, or a free one drawn by lot.
func (p plan) name(v *state.View, draw int) string {
	if p.request.Name != "" {
		return p.request.Name
	}
	for range maxNameDraws - draw {
		name := randomName()
		if _, taken := v.ContainerByName(p.account.ID, name); !taken {
			return name
		}
	}
	return randomName() + "_" + model.NewID()[:8]
}

// wires are what the networks of an intent need of its node: NIC tags, and
// whether it must offer fabrics.
func (in *Intent) wires(v *state.View) (tags []string, fabric bool) {
	for _, nic := range in.Container.NICs {
		n, ok := v.Network(nic.NetworkID)
		switch {
		case !ok:
		case n.Kind == model.NetworkFabric:
			fabric = true
		case !slices.Contains(tags, n.NICTag):
			tags = append(tags, n.NICTag)
		}
	}
	return tags, fabric
}
