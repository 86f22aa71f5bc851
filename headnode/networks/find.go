package networks

import (
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// DefaultFabric is the name of the fabric that an account has without asking,
// where the data center has no network for everybody.
const DefaultFabric = "default"

// Find finds a network that an account may use: by id, by name, its own before
// those of the data center, or by a prefix of the id that no other has.
func Find(v *state.View, accountID, ref string) (model.Network, error) {
	if n, ok := v.Network(ref); ok && n.UsableBy(accountID) {
		return n, nil
	}
	for _, owner := range []string{accountID, ""} {
		if n, ok := v.NetworkOfAccount(owner, ref); ok && n.UsableBy(accountID) {
			return n, nil
		}
	}
	var found []*model.Network
	for _, n := range v.Networks() {
		if ref != "" && strings.HasPrefix(n.ID, ref) && n.UsableBy(accountID) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 1:
		return *found[0], nil
	case 0:
		return model.Network{}, model.Errorf(model.KindNotFound, "network %.128s not found", ref)
	}
	return model.Network{}, model.Errorf(model.KindInvalid, "network %.128s is ambiguous (%d matches found based on ID prefix)", ref, len(found))
}

// Default is the network of containers that name none: the data center's if it
// has one, else the account's own default fabric, once it is there.
func Default(v *state.View, accountID string) (model.Network, bool) {
	for _, n := range v.Networks() {
		if n.AccountID == "" && n.Default && n.UsableBy(accountID) {
			return *n, true
		}
	}
	n, ok := v.NetworkOfAccount(accountID, DefaultFabric)
	return n, ok && n.Default
}

// External is the network by which ports of an account's containers are
// published: the data center's default one, else the first that the account may
// use.
func External(v *state.View, accountID string) (model.Network, bool) {
	var first *model.Network
	for _, n := range v.Networks() {
		if n.Kind != model.NetworkExternal || !n.UsableBy(accountID) || n.Internal {
			continue
		}
		if n.Default {
			return *n, true
		}
		if first == nil {
			first = n
		}
	}
	if first == nil {
		return model.Network{}, false
	}
	return *first, true
}
