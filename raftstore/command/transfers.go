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
)

// AskTransfer asks that a container be moved to another node, or to one that
// the leader chooses. KindConflict, in words for its owner, if it cannot be
// moved now. The same Operation again changes nothing.
type AskTransfer struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Node      string    `json:"node,omitempty"` // by id; "" is any
	Rate      int64     `json:"rate,omitempty"` // see model.Transfer
	Time      time.Time `json:"time"`
}

// StepTransfer records the next step of a transfer before it is taken. With
// model.TransferCopying it promises Reserved of the node To, and each volume of
// the container a copy there: KindConflict and KindExhausted if that cannot be.
// With model.TransferUndoing it says why in Failure. A step that was taken
// already changes nothing, one that cannot follow is KindConflict.
type StepTransfer struct {
	ID        string             `json:"id"`
	Operation string             `json:"operation"`
	Step      model.TransferStep `json:"step"`
	To        string             `json:"to,omitempty"`
	Reserved  model.Resources    `json:"reserved"`
	Failure   string             `json:"failure,omitempty"`
}

// CompleteTransfer makes the container and its volumes the new node's, in one
// step: it is of the next generation, and on its way there until SettleMove.
// What the old node has is a former copy. KindConflict unless it is stopped for
// that very transfer.
type CompleteTransfer struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Time      time.Time `json:"time"`
}

// EndTransfer ends a transfer that is being undone: the container stays, and
// what the other node has of it is a former copy. A transfer that is not there
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
func (StepTransfer) Number() Number { return NumberStepTransfer }

// Number implements Command.
func (CompleteTransfer) Number() Number { return NumberCompleteTransfer }

// Number implements Command.
func (EndTransfer) Number() Number { return NumberEndTransfer }

// Number implements Command.
func (DropFormer) Number() Number { return NumberDropFormer }
