package command

import "github.com/spearheadcloud/spearhead/model"

// PutBuilder says where an account's images are built, and gives the builder
// its addresses. It takes the place of what held before, which must be on the
// node Before, "" for none: else it is KindConflict, as another head has chosen
// meanwhile. It is KindConflict too if an address or a MAC is taken or the
// node is not approved, and KindExhausted if the node has not the memory left.
type PutBuilder struct {
	Builder model.Builder `json:"builder"`
	Before  string        `json:"before,omitempty"`
}

// Number implements Command.
func (PutBuilder) Number() Number { return NumberPutBuilder }
