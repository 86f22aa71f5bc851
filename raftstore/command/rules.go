package command

import "github.com/spearheadcloud/spearhead/model"

// The numbers of the commands about firewall rules.
const (
	NumberPutRule    Number = 71
	NumberRemoveRule Number = 72
)

// PutRule adds a firewall rule, or replaces the one with its id. A text that
// cannot be read is KindInvalid, and another account's rule KindConflict.
type PutRule struct {
	Rule model.Rule `json:"rule"`
}

// RemoveRule removes a firewall rule. One that is not there is KindNotFound.
type RemoveRule struct {
	ID string `json:"id"`
}

// Number implements Command.
func (PutRule) Number() Number { return NumberPutRule }

// Number implements Command.
func (RemoveRule) Number() Number { return NumberRemoveRule }
