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
	return model.Network{}, errAmbiguous(ref, len(found))
}

func errAmbiguous(ref string, matches int) error {
	return model.Errorf(model.KindInvalid, "network %.128s is ambiguous (%d matches found based on ID prefix)", ref, matches)
}
