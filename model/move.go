package model

import "time"

// LabelReschedule is the label by which an owner asks that a container be
// started anew on another node when its own is gone, without what it wrote.
const LabelReschedule = "spearhead.reschedule"

// Reschedules reports whether the owner asked for that.
func (s *ContainerSpec) Reschedules() bool { return s.Labels[LabelReschedule] == "true" }

// Move is a container on its way to another node, because its own is gone, or
// at the end of a planned move. The state has it on the new node already; the
// leader finishes the way.
type Move struct {
	From  string    `json:"from"`  // id of the node that it was on
	Start bool      `json:"start"` // it ran there and is to run again
	Since time.Time `json:"since"`
	// Fetched says that the new node has its files, from a planned move.
	Fetched bool `json:"fetched,omitempty"`
}
