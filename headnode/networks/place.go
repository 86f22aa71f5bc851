package networks

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Place is where an account asks a container to be: on a network, or on one of
// a pool.
type Place struct {
	ID, Name string // of the network, or of the pool
	Pool     bool
	// Networks are those that the account may use, the preferred one first;
	// there is at least one.
	Networks []model.Network
}

// placeOf is the place that is one network.
func placeOf(n *model.Network) Place {
	return Place{ID: n.ID, Name: n.Name, Networks: []model.Network{*n}}
}

// placeOfPool is what a pool is to an account; it returns false if the account
// may use none of it.
func placeOfPool(v *state.View, accountID string, p *model.NetworkPool) (Place, bool) {
	if !p.UsableBy(accountID) {
		return Place{}, false
	}
	place := Place{ID: p.ID, Name: p.Name, Pool: true}
	for _, id := range p.Networks {
		if n, ok := v.Network(id); ok && n.UsableBy(accountID) {
			place.Networks = append(place.Networks, n)
		}
	}
	return place, len(place.Networks) > 0
}

// external reports whether ports of containers can be published there.
func (p Place) external() bool {
	return p.Networks[0].Kind == model.NetworkExternal && !p.Networks[0].Internal
}

// For is the network of the place whose addresses the one that was asked for is
// one of; without such a wish, the first. What it lacks is found out when
// addresses are given.
func (p Place) For(asked netip.Addr) model.Network {
	i := slices.IndexFunc(p.Networks, func(n model.Network) bool { return asked.IsValid() && n.Subnet.Contains(asked) })
	return p.Networks[max(i, 0)]
}

// Has reports whether a NIC is there.
func (p Place) Has(nic *model.NIC) bool {
	return p.Pool && nic.PoolID == p.ID || !p.Pool && nic.NetworkID == p.ID
}

// FindPlace finds the network or pool that an account means: by its whole id,
// by name, the account's own before those of the data center, or by a prefix of
// the id that no other has.
func FindPlace(v *state.View, accountID, ref string) (Place, error) {
	pools := map[string]Place{}
	for _, p := range v.NetworkPools() {
		if place, ok := placeOfPool(v, accountID, p); ok {
			pools[p.ID] = place
		}
	}
	if place, ok := pools[ref]; ok {
		return place, nil
	}
	for _, place := range pools {
		if _, own := v.NetworkOfAccount(accountID, ref); place.Name == ref && !own {
			return place, nil
		}
	}
	n, err := Find(v, accountID, ref)
	if err == nil && (n.ID == ref || n.Name == ref) {
		return placeOf(&n), nil
	}
	if model.IsKind(err, model.KindInvalid) {
		return Place{}, err
	}
	var found []Place
	if err == nil {
		found = append(found, placeOf(&n))
	}
	for id, place := range pools {
		if ref != "" && strings.HasPrefix(id, ref) {
			found = append(found, place)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Place{}, err
	}
	return Place{}, errAmbiguous(ref, len(found))
}

// Default is the place of containers that name none: the data center's if it
// has one, else the account's own default fabric, once it is there.
func Default(v *state.View, accountID string) (Place, bool) {
	for _, n := range v.Networks() {
		if n.AccountID == "" && n.Default && n.UsableBy(accountID) {
			return placeOf(n), true
		}
	}
	for _, p := range v.NetworkPools() {
		if place, ok := placeOfPool(v, accountID, p); ok && p.Default {
			return place, true
		}
	}
	n, ok := v.NetworkOfAccount(accountID, DefaultFabric)
	return placeOf(&n), ok && n.Default
}

// External is the place by which ports of an account's containers are
// published: the data center's default one, else the first network that the
// account may use, else the first pool.
func External(v *state.View, accountID string) (Place, bool) {
	if place, ok := Default(v, accountID); ok && place.external() {
		return place, true
	}
	for _, n := range v.Networks() {
		if place := placeOf(n); n.UsableBy(accountID) && place.external() {
			return place, true
		}
	}
	for _, p := range v.NetworkPools() {
		if place, ok := placeOfPool(v, accountID, p); ok && place.external() {
			return place, true
		}
	}
	return Place{}, false
}

// LabelPublic names the external network or pool by which a container's ports
// are published.
const LabelPublic = "triton.network.public"

// Public is the place that the label of a container names.
func Public(v *state.View, accountID, ref string) (Place, error) {
	place, err := FindPlace(v, accountID, ref)
	switch {
	case model.IsKind(err, model.KindNotFound):
		return place, model.Errorf(model.KindInvalid, "invalid label %s: network %.128s not found", LabelPublic, ref)
	case err != nil:
		return place, err
	case !place.external():
		return place, model.Errorf(model.KindInvalid, "invalid label %s: %s is no external network", LabelPublic, place.Name)
	}
	return place, nil
}
