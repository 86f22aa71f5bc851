package command

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// ReserveUpdate begins an update of a container's limits: from then on until
// the update ends, the container is promised what it has and what it will
// need, whichever is more. Before are the limits that the update was worked
// out from. It is KindConflict if they do not hold any more or if another
// update is under way, and KindExhausted if the node has promised too much to
// others. The same operation again changes nothing.
//
// The update ends with the journal entry of the same operation, which says
// what holds now, or with ReleaseUpdate.
type ReserveUpdate struct {
	ID        string          `json:"id"`
	Operation string          `json:"operation"`
	Package   string          `json:"package"`
	Before    model.Limits    `json:"before"`
	Needs     model.Resources `json:"needs"`
	Time      time.Time       `json:"time"`
}

// ReleaseUpdate ends an update that was not carried out: the container is
// promised what its limits say. A container or an update that is not there is
// no error.
type ReleaseUpdate struct {
	ID        string `json:"id"`
	Operation string `json:"operation"`
}

// RemoveLink takes the link of that alias from a container. Its node is to be
// told before the container starts again.
type RemoveLink struct {
	ID    string `json:"id"`
	Alias string `json:"alias"`
}

// LinksTold records that a container's node knows these links. It changes
// nothing if they are not the container's any more.
type LinksTold struct {
	ID    string       `json:"id"`
	Links []model.Link `json:"links"`
}

// Number implements Command.
func (RemoveLink) Number() Number { return NumberRemoveLink }

// Number implements Command.
func (LinksTold) Number() Number { return NumberLinksTold }

// Number implements Command.
func (ReserveUpdate) Number() Number { return NumberReserveUpdate }

// Number implements Command.
func (ReleaseUpdate) Number() Number { return NumberReleaseUpdate }
