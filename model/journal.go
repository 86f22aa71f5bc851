package model

import "time"

// JournalEntry is one thing that happened to a container on a node, in the
// order in which it happened. Seq is dense and starts at 1 within an epoch.
type JournalEntry struct {
	Seq         uint64            `json:"seq"`
	Time        time.Time         `json:"time"`
	ContainerID string            `json:"container_id"`
	Action      string            `json:"action"`               // Docker's event action: create, start, die, kill, stop, oom, destroy, exec_create: CMD …
	Attributes  map[string]string `json:"attributes,omitempty"` // added to the event's, e.g. exitCode, signal
	State       *ContainerState   `json:"state,omitempty"`      // the state after it; nil where it changes nothing
	Update      *ContainerUpdate  `json:"update,omitempty"`     // what an update changed in the container's specification
}

// ActionDestroy ends a container's life: its name and addresses are free when
// the entry is applied.
const ActionDestroy = "destroy"

// ActionCreate is the entry by which a reserved container becomes created.
const ActionCreate = "create"

// Event is one line of docker events, as every head tells it.
type Event struct {
	Index      uint64            `json:"index"` // of the raft entry, then Order within it
	Order      int               `json:"order"`
	Time       time.Time         `json:"time"`
	AccountID  string            `json:"account_id"`
	Type       string            `json:"type"` // container, image, network, volume
	Action     string            `json:"action"`
	ActorID    string            `json:"actor_id"`
	Attributes map[string]string `json:"attributes,omitempty"`
}
