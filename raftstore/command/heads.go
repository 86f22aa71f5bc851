package command

import "github.com/spearheadcloud/spearhead/model"

// PutHead adds a head, or replaces what is known of it. One that has been
// removed stays so: KindForbidden.
type PutHead struct {
	Head model.Head `json:"head"`
}

// RemoveHead takes a head out for ever: its id is remembered, and when the
// head itself applies this or comes back it stops. A head that is not known
// is no error.
type RemoveHead struct {
	ID string `json:"id"`
}

// CheckState changes nothing. Each head works out the hash of its state as of
// this entry, so that they can be compared.
type CheckState struct{}

// ResetJournal forgets how far a node's journal is known, so that it may begin
// anew with any entry, and records how the node's containers are: their states
// may have changed in entries that nobody has any more. It is used when the
// journal has a gap, as after the restore of a backup. What the journal says
// from then on counts as always.
type ResetJournal struct {
	NodeID     string           `json:"node_id"`
	Containers []ContainerFound `json:"containers,omitempty"`
}

// ContainerFound is how a node has a container. One that the state does not
// have on that node is passed over.
type ContainerFound struct {
	ID    string               `json:"id"`
	State model.ContainerState `json:"state"`
}

// Number implements Command.
func (PutHead) Number() Number { return NumberPutHead }

// Number implements Command.
func (RemoveHead) Number() Number { return NumberRemoveHead }

// Number implements Command.
func (CheckState) Number() Number { return NumberCheckState }

// Number implements Command.
func (ResetJournal) Number() Number { return NumberResetJournal }
