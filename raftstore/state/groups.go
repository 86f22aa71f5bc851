package state

import (
	"cmp"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
)

// Group lists all that has to be where a container is, itself among them, by
// id: those of its node that share a volume or a namespace with it, those that
// share with these, and so on.
func (v *View) Group(c *model.Container) []*model.Container {
	rest := slices.DeleteFunc(v.ContainersOnNode(c.NodeID), func(o *model.Container) bool {
		return o.AccountID != c.AccountID || o.ID == c.ID
	})
	group := []*model.Container{c}
	for i := 0; i < len(group); i++ {
		rest = slices.DeleteFunc(rest, func(o *model.Container) bool {
			bound := shares(group[i], o)
			if bound {
				group = append(group, o)
			}
			return bound
		})
	}
	slices.SortFunc(group, func(a, b *model.Container) int { return cmp.Compare(a.ID, b.ID) })
	return group
}

// shares reports whether two containers share a volume, or one lives in a
// namespace of the other.
func shares(a, b *model.Container) bool {
	return slices.Contains(a.Spec.Joins(), b.ID) || slices.Contains(b.Spec.Joins(), a.ID) ||
		slices.ContainsFunc(a.Spec.Mounts, func(m model.Mount) bool { return m.VolumeID != "" && b.Spec.MountsVolume(m.VolumeID) })
}

// CheckGroup returns why a group cannot be moved to another node at this moment,
// in words for people that name the one which holds it, or nil.
func (v *View) CheckGroup(group []*model.Container) error {
	for _, c := range group {
		if err := v.checkMember(c); err != nil {
			return err
		}
	}
	return nil
}

func (v *View) checkMember(c *model.Container) error {
	if err := checkMovable(c); err != nil {
		return err
	}
	if err := checkPaths(c); err != nil {
		return err
	}
	for _, vol := range v.VolumesOf(c) {
		if err := checkSettled(&vol, c); err != nil {
			return err
		}
	}
	return nil
}

// VolumesBrought lists the volumes that a container brings along on its way to
// another node: those that it mounts, without those that one before it in its
// company brings.
func (v *View) VolumesBrought(c *model.Container) []model.Volume {
	brought := v.VolumesOf(c)
	for _, id := range c.Transfer.Company(c.ID) {
		if id == c.ID {
			break
		}
		if before, ok := v.Container(id); ok {
			brought = slices.DeleteFunc(brought, func(vol model.Volume) bool { return before.Spec.MountsVolume(vol.ID) })
		}
	}
	return brought
}

// company finds all that go the way which operation names together with a
// container, the one that carries it first. Callers may change what they get.
func (t *transaction) company(id, operation string) ([]model.Container, error) {
	c, err := t.transferred(id, operation)
	if err != nil {
		return nil, err
	}
	ids := c.Transfer.Company(id)
	all := make([]model.Container, len(ids))
	for i, member := range ids {
		if all[i], err = t.transferred(member, operation); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// leaveCompany has those that go a way together with c stay where they are,
// since c will not go it to its end. What becomes of c is the caller's.
func (t *transaction) leaveCompany(c *model.Container) error {
	if c.Transfer == nil {
		return nil
	}
	for _, id := range c.Transfer.With {
		other, err := t.transferred(id, c.Transfer.Operation)
		if err != nil || id == c.ID {
			continue // it has left before
		}
		way := other.Transfer
		way.With = slices.DeleteFunc(slices.Clone(way.With), func(member string) bool { return member == c.ID })
		if way.Step != model.TransferUndoing {
			way.Step, way.Failure = model.TransferUndoing, "container "+c.Name+", which was moved together with it, was removed or lost"
		}
		if err := t.insert(tableContainers, &other); err != nil {
			return err
		}
	}
	return nil
}

// checkCompany refuses a new container that shares volumes or namespaces with
// one that is on its way to another node: who goes with that is settled.
func (t *transaction) checkCompany(c *model.Container) error {
	var others []*model.Container
	for _, id := range c.Spec.Joins() {
		if other, ok := t.Container(id); ok {
			others = append(others, &other)
		}
	}
	for _, m := range c.Spec.Mounts {
		if m.Type == model.MountVolume {
			others = append(others, t.ContainersOfVolume(m.VolumeID)...)
		}
	}
	for _, other := range others {
		if other.Transfer != nil && len(other.Transfer.With) > 0 {
			return errTransferred(other)
		}
	}
	return nil
}
