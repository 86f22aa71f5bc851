package command

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// The numbers of the commands about volumes.
const (
	NumberCreateVolume  Number = 50
	NumberRemoveVolume  Number = 51
	NumberForgetVolume  Number = 52
	NumberSetVolumeSize Number = 53
	NumberMoveVolume    Number = 54
	NumberFinishVolume  Number = 55
	NumberAddCopy       Number = 56
	NumberCondemnCopy   Number = 57
	NumberDropCopy      Number = 58
)

// CreateVolume adds a volume that is on no node yet, or on Volume.NodeID. A
// name that the account has already is KindConflict; the same volume again
// (same id and name) changes nothing.
type CreateVolume struct {
	Volume model.Volume `json:"volume"`
}

// RemoveVolume removes a volume: nobody can name it from then on. What is on
// no node is forgotten at once, else ForgetVolume follows. KindConflict, in
// Docker's words, while a container mounts it. A volume that is not there, or
// is on its way out, is no error.
type RemoveVolume struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
}

// ForgetVolume says that the node of a removed volume does not have it any
// more. A volume that is not there is no error, one that was not removed is
// KindConflict.
type ForgetVolume struct {
	ID string `json:"id"`
}

// SetVolumeSize changes how much a volume may hold. It is KindExhausted if the
// volume's node has promised too much to others. Before is the size that the
// decision was made on: KindConflict if it is another by now.
type SetVolumeSize struct {
	ID     string `json:"id"`
	Before int64  `json:"before"`
	Size   int64  `json:"size"`
}

// MoveVolume says that a volume is on the node To from now on. What From has is
// a dead copy then. KindConflict if it is not on From, if To has no living copy
// of it, while a container mounts it, or while it has a way of its own (see
// AskVolumeMove). Heads gave it before volumes had such.
type MoveVolume struct {
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
}

// FinishVolume says that a volume that was incomplete can be used.
type FinishVolume struct {
	ID string `json:"id"`
}

// AddCopy says that a node begins to make a copy of a volume, which then no
// container can mount. KindConflict while one does, or while the volume is on
// its way to another node. Heads gave it before MoveVolume.
type AddCopy struct {
	ID     string `json:"id"`
	NodeID string `json:"node_id"`
}

// CondemnCopy says that a node's copy of a volume is of no use. One that is not
// there is no error.
type CondemnCopy struct {
	ID     string `json:"id"`
	NodeID string `json:"node_id"`
}

// DropCopy says that a node has no copy of a volume any more. One that is not
// dead is KindConflict.
type DropCopy struct {
	ID     string `json:"id"`
	NodeID string `json:"node_id"`
}

// Number implements Command.
func (CreateVolume) Number() Number { return NumberCreateVolume }

// Number implements Command.
func (RemoveVolume) Number() Number { return NumberRemoveVolume }

// Number implements Command.
func (ForgetVolume) Number() Number { return NumberForgetVolume }

// Number implements Command.
func (SetVolumeSize) Number() Number { return NumberSetVolumeSize }

// Number implements Command.
func (MoveVolume) Number() Number { return NumberMoveVolume }

// Number implements Command.
func (FinishVolume) Number() Number { return NumberFinishVolume }

// Number implements Command.
func (AddCopy) Number() Number { return NumberAddCopy }

// Number implements Command.
func (CondemnCopy) Number() Number { return NumberCondemnCopy }

// Number implements Command.
func (DropCopy) Number() Number { return NumberDropCopy }
