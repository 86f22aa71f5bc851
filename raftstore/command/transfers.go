package command

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// The numbers of the commands about planned moves of containers.
const (
	NumberAskTransfer      Number = 95
	NumberStepTransfer     Number = 96
	NumberCompleteTransfer Number = 97
	NumberEndTransfer      Number = 98
	NumberDropFormer       Number = 99
	NumberAskGroupTransfer Number = 150
)

// AskTransfer is what heads asked before AskGroupTransfer, and what logs still
// hold: it moves one container, and is KindConflict for one that shares volumes
// or namespaces with others.
type AskTransfer struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Node      string    `json:"node,omitempty"` // by id; "" is any
	Rate      int64     `json:"rate,omitempty"` // see model.Transfer
	Time      time.Time `json:"time"`
}

// AskGroupTransfer asks that a container, and all that its volumes and
// namespaces bind it to, be moved to another node, or to one that the leader
// chooses. KindConflict, in words for its owner, if one of them cannot be moved
// now. The same Operation again changes nothing.
type AskGroupTransfer struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Node      string    `json:"node,omitempty"` // by id; "" is any
	Rate      int64     `json:"rate,omitempty"` // see model.Transfer
	Time      time.Time `json:"time"`
}

// StepTransfer records the next step of a transfer before it is taken, for all
// that go together; ID is any of them, as in what follows. With
// model.TransferCopying it promises of the node To what each takes, and each of
// their volumes a copy there: KindConflict and KindExhausted if that cannot be.
// With model.TransferUndoing it says why in Failure. A step that was taken
// already changes nothing, one that cannot follow is KindConflict.
type StepTransfer struct {
	ID        string             `json:"id"`
	Operation string             `json:"operation"`
	Step      model.TransferStep `json:"step"`
	To        string             `json:"to,omitempty"`
	Reserved  model.Resources    `json:"reserved"` // what ID takes of To
	// Others is what each of the others takes, by id.
	Others  map[string]model.Resources `json:"others,omitempty"`
	Failure string                     `json:"failure,omitempty"`
}

// CompleteTransfer makes all that go together, and their volumes, the new
// node's, in one step: each is of the next generation, and on its way there
// until SettleMove. What the old node has is a former copy. KindConflict unless
// all are stopped for that very transfer.
type CompleteTransfer struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Time      time.Time `json:"time"`
}

// EndTransfer ends a transfer that is being undone: all that go together stay,
// and what the other node has of them are former copies. A transfer that is not there
// is no error, one that is not being undone is KindConflict.
type EndTransfer struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Time      time.Time `json:"time"`
}

// DropFormer says that a node does not have a former copy any more.
type DropFormer struct {
	ID     string           `json:"id"`
	Former model.FormerCopy `json:"former"`
}

// Number implements Command.
func (AskTransfer) Number() Number { return NumberAskTransfer }

// Number implements Command.
func (AskGroupTransfer) Number() Number { return NumberAskGroupTransfer }

// Number implements Command.
func (StepTransfer) Number() Number { return NumberStepTransfer }

// Number implements Command.
func (CompleteTransfer) Number() Number { return NumberCompleteTransfer }

// Number implements Command.
func (EndTransfer) Number() Number { return NumberEndTransfer }

// Number implements Command.
func (DropFormer) Number() Number { return NumberDropFormer }
