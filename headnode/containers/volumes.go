package containers

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// findVolumes decides which volumes the container mounts: those that the
// request names, those of the containers that VolumesFrom names, and at last
// those of the image, where nothing else is. What is to be made goes into
// Volumes of the request.
func (p *plan) findVolumes(v *state.View) error {
	p.request.Spec.Mounts = slices.Clone(p.request.Spec.Mounts)
	p.request.Volumes = slices.Clone(p.request.Volumes)
	from, err := p.volumesFrom(v)
	if err != nil {
		return err
	}
	for _, m := range from {
		if !p.mountsAt(m.Target) {
			p.request.Spec.Mounts = append(p.request.Spec.Mounts, m)
		}
	}
	for _, target := range p.image.Config.Volumes {
		if !p.mountsAt(target) {
			p.request.Spec.Mounts = append(p.request.Spec.Mounts, model.Mount{Type: model.MountVolume, Target: target})
		}
	}
	p.nameVolumes(v.DefaultVolumeSize())
	return nil
}

// volumesFrom lists the mounts of other containers that the new one gets too,
// and binds it to their node. Later ones beat earlier ones at one target.
func (p *plan) volumesFrom(v *state.View) (from []model.Mount, err error) {
	for _, text := range p.request.Asked.VolumesFrom {
		ref, readOnly, err := parseVolumesFrom(text)
		if err != nil {
			return nil, err
		}
		other, err := p.findOther(v, ref)
		if err != nil {
			return nil, err
		}
		if err := p.pin(&other); err != nil {
			return nil, err
		}
		for _, m := range other.Spec.Mounts {
			if m.Type == model.MountTmpfs {
				continue
			}
			m.ReadOnly = m.ReadOnly || readOnly
			m.Anonymous = false // it goes with the container that it was made for
			from = append(slices.DeleteFunc(from, at(m.Target)), m)
		}
	}
	return from, policy.Refuse(policy.CheckVolumesFrom(p.account, from))
}

func (p *plan) mountsAt(target string) bool {
	_, tmpfs := p.request.Spec.Tmpfs[target]
	return tmpfs || slices.ContainsFunc(p.request.Spec.Mounts, at(target))
}

func at(target string) func(model.Mount) bool {
	return func(m model.Mount) bool { return m.Target == target }
}

// nameVolumes gives a name to each volume without one, and notes what to make
// of each name that nothing is noted for. size is that of volumes for which none
// was asked.
func (p *plan) nameVolumes(size int64) {
	for i := range p.request.Spec.Mounts {
		m := &p.request.Spec.Mounts[i]
		if m.Type != model.MountVolume {
			continue
		}
		labels := map[string]string(nil)
		if m.Source == "" {
			m.Source, m.Anonymous = model.NewID(), true
			labels = map[string]string{model.LabelAnonymous: ""}
		}
		if !slices.ContainsFunc(p.request.Volumes, func(v model.Volume) bool { return v.Name == m.Source }) {
			p.request.Volumes = append(p.request.Volumes, model.Volume{Name: m.Source, Driver: model.VolumeDriver, Labels: labels})
		}
	}
	now := time.Now().UTC()
	for i := range p.request.Volumes {
		fresh := &p.request.Volumes[i]
		fresh.ID, fresh.Created, fresh.Size = model.NewID()[:32], now, cmp.Or(fresh.Size, size)
	}
}

// parseVolumesFrom reads CONTAINER[:MODE].
func parseVolumesFrom(text string) (ref string, readOnly bool, err error) {
	ref, mode, hasMode := strings.Cut(text, ":")
	if ref == "" {
		return "", false, model.Errorf(model.KindInvalid, "malformed volumesFrom specification: %.128q", text)
	}
	switch {
	case !hasMode, mode == "rw":
		return ref, false, nil
	case mode == "ro":
		return ref, true, nil
	}
	return "", false, model.Errorf(model.KindInvalid, "invalid mode for volumesFrom: %.64s; use ro or rw", mode)
}

// mounted returns a reserved container with the ids of its volumes, and what
// the node needs to know of these.
func (s *Service) mounted(ctx context.Context, c model.Container) (model.Container, []wire.VolumeRef, error) {
	if !c.Spec.MountsVolumes() {
		return c, nil, nil
	}
	var refs []wire.VolumeRef
	err := s.store.Wait(ctx, func(v *state.View) (bool, error) {
		held, ok := v.Container(c.ID)
		if !ok {
			return false, nil // it was reserved by the leader, and is on its way here
		}
		c, refs = held, nil
		for _, m := range c.Spec.Mounts {
			if vol, ok := v.Volume(m.VolumeID); ok && !slices.ContainsFunc(refs, func(r wire.VolumeRef) bool { return r.ID == vol.ID }) {
				refs = append(refs, wire.VolumeRef{ID: vol.ID, Size: vol.Size})
			}
		}
		return true, nil
	})
	return c, refs, err
}

// removeAnonymous removes the volumes that were made for a container that is
// gone. Those that others mount by now stay, and so does, for its owner to
// remove, what cannot be removed.
func (s *Service) removeAnonymous(ctx context.Context, c model.Container) {
	for _, m := range c.Spec.Mounts {
		if m.Type != model.MountVolume || !m.Anonymous {
			continue
		}
		_, err := s.store.Propose(ctx, command.RemoveVolume{ID: m.VolumeID, Time: time.Now().UTC()})
		if err != nil && !model.IsKind(err, model.KindConflict) {
			s.log.Warn("cannot remove a container's volume", slog.String("container", c.ID), slog.Any("err", err))
		}
	}
}
