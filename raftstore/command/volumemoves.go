package command

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// The numbers of the commands about moves of volumes that no container mounts.
const (
	NumberAskVolumeMove  Number = 160
	NumberStepVolumeMove Number = 161
	NumberEndVolumeMove  Number = 162
)

// AskVolumeMove asks that a volume be moved to another node, which is promised
// to it and has a copy of it from then on; no container can mount it until the
// way is at its end. KindConflict, in words for operators, if it cannot be
// moved now, KindExhausted if the node has no room. The same Operation again
// changes nothing.
type AskVolumeMove struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	To        string    `json:"to"`             // id of the node
	Rate      int64     `json:"rate,omitempty"` // see model.VolumeMove
	Time      time.Time `json:"time"`
}

// StepVolumeMove records the next step of a way. With model.TransferSettling
// the volume is on its new node, and what the old one has is a dead copy; with
// model.TransferUndoing it stays, the new node's copy is dead, and Failure says
// why. A step that was taken already changes nothing, one that cannot follow is
// KindConflict.
type StepVolumeMove struct {
	ID        string             `json:"id"`
	Operation string             `json:"operation"`
	Step      model.TransferStep `json:"step"`
	Failure   string             `json:"failure,omitempty"`
}

// EndVolumeMove ends a way that is at its last step, or was undone. One that is
// not there is no error, one that is still copied is KindConflict.
type EndVolumeMove struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Time      time.Time `json:"time"`
}

// Number implements Command.
func (AskVolumeMove) Number() Number { return NumberAskVolumeMove }

// Number implements Command.
func (StepVolumeMove) Number() Number { return NumberStepVolumeMove }

// Number implements Command.
func (EndVolumeMove) Number() Number { return NumberEndVolumeMove }
