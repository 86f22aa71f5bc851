package state

import "github.com/spearheadcloud/spearhead/model"

// What may be under way with a container. A leader asks again and again for
// the few of which something is, and must not look at all of them for that.
const (
	underReservation = "reservation"
	underUpdate      = "update"
	underMove        = "move"
	underNICs        = "nics"
	underTransfer    = "transfer"
	underFormer      = "former"
)

func unfinishedKeys(c *model.Container) [][]byte {
	var keys [][]byte
	for _, u := range []struct {
		what string
		is   bool
	}{
		{underReservation, c.Phase == model.PhaseReserved},
		{underUpdate, c.Update != nil},
		{underMove, c.Move != nil},
		{underNICs, c.NICsStale && c.Phase != model.PhaseReserved},
		{underTransfer, c.Transfer != nil},
		{underFormer, len(c.Former) > 0},
	} {
		if u.is {
			keys = append(keys, key(u.what))
		}
	}
	return keys
}

// ReservedContainers lists the containers, of all accounts, that are not on
// their nodes yet.
func (v *View) ReservedContainers() []*model.Container { return v.unfinished(underReservation) }

// UpdatedContainers lists those whose update has not ended.
func (v *View) UpdatedContainers() []*model.Container { return v.unfinished(underUpdate) }

// MovingContainers lists those that have not arrived at the nodes that they
// were given to.
func (v *View) MovingContainers() []*model.Container { return v.unfinished(underMove) }

// RewiredContainers lists those with NICs that their nodes have not been told
// of, or not to be without; they exist on their nodes.
func (v *View) RewiredContainers() []*model.Container { return v.unfinished(underNICs) }

// TransferredContainers lists those with a planned move that is under way.
func (v *View) TransferredContainers() []*model.Container { return v.unfinished(underTransfer) }

// FormerContainers lists those of which nodes may have former copies.
func (v *View) FormerContainers() []*model.Container { return v.unfinished(underFormer) }

func (v *View) unfinished(what string) []*model.Container {
	return match[model.Container](v.txn, tableContainers, indexUnfinished, what)
}
