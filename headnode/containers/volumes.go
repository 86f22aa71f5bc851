package containers

import (
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// findVolumes gives the new container the bind mounts of those that VolumesFrom
// names, and binds it to their node. Its own mounts beat theirs at one target,
// and later ones earlier ones.
func (p *plan) findVolumes(v *state.View) error {
	spec := &p.request.Spec
	var from []model.Mount
	for _, text := range p.request.Asked.VolumesFrom {
		ref, readOnly, err := parseVolumesFrom(text)
		if err != nil {
			return err
		}
		other, err := p.findOther(v, ref)
		if err != nil {
			return err
		}
		if err := p.pin(&other); err != nil {
			return err
		}
		for _, m := range other.Spec.Mounts {
			if m.Type != "bind" {
				continue
			}
			m.ReadOnly = m.ReadOnly || readOnly
			from = append(slices.DeleteFunc(from, at(m.Target)), m)
		}
	}
	if err := policy.Refuse(policy.CheckVolumesFrom(p.account, from)); err != nil {
		return err
	}
	spec.Mounts = slices.Clone(spec.Mounts)
	for _, m := range from {
		if _, tmpfs := spec.Tmpfs[m.Target]; !tmpfs && !slices.ContainsFunc(spec.Mounts, at(m.Target)) {
			spec.Mounts = append(spec.Mounts, m)
		}
	}
	return nil
}

func at(target string) func(model.Mount) bool {
	return func(m model.Mount) bool { return m.Target == target }
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
