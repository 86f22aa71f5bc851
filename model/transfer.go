package model

import "time"

// Transfer is a container's planned way to another node, while it still is its
// old node's. What it takes of the new one is promised meanwhile. The leading
// head goes the way step by step, and whoever leads next goes on with it.
type Transfer struct {
	Operation string `json:"operation"` // tells one from the next
	// With are the ids of all that go this way together, this container among
	// them, in order. The first is who carries the way: what is asked of it and
	// recorded of it is so of all. It is empty where heads that moved containers
	// one by one have begun the way.
	With []string `json:"with,omitempty"`
	// To is the id of the new node, "" until it is chosen: Node is then the
	// one that was asked for, "" for any.
	To   string `json:"to,omitempty"`
	Node string `json:"node,omitempty"`
	// Reserved is what the container takes of To, with the volumes that it
	// brings along: of those that several mount, the first brings each.
	Reserved Resources    `json:"reserved"`
	Step     TransferStep `json:"step"`
	// Start says that it ran when it was to be stopped for its way, and is to
	// run again.
	Start bool      `json:"start,omitempty"`
	Rate  int64     `json:"rate,omitempty"` // bytes a second that are copied while it runs; 0 is without limit
	Since time.Time `json:"since"`
	// Failure is why the way is not gone to its end.
	Failure string `json:"failure,omitempty"`
}

// TransferStep is how far a transfer has come.
type TransferStep string

// The steps of a transfer. Each is recorded before anything of it is done.
const (
	TransferAsked    TransferStep = "asked"    // a node has to be chosen
	TransferCopying  TransferStep = "copying"  // files are copied while it may run
	TransferStopping TransferStep = "stopping" // it is stopped, and what has changed since is copied
	TransferUndoing  TransferStep = "undoing"  // it stays where it was
)

// Halted reports whether the transfer keeps the container from running.
func (t *Transfer) Halted() bool { return t != nil && t.Step == TransferStopping }

// Company are the ids of all that go the way together with the container id,
// itself among them. Without a way it is alone.
func (t *Transfer) Company(id string) []string {
	if t == nil || len(t.With) == 0 {
		return []string{id}
	}
	return t.With
}

// CarriedBy reports whether the container id is the one that carries the way.
func (t *Transfer) CarriedBy(id string) bool { return t.Company(id)[0] == id }

// TransferEnd is what became of the latest transfer of a container, or of the
// latest move of a volume.
type TransferEnd struct {
	Operation string    `json:"operation"`
	Failure   string    `json:"failure,omitempty"` // "" is a success
	Ended     time.Time `json:"ended"`
}

// FormerCopy is what a node may still have of a container that is not its any
// more, or never came to be.
type FormerCopy struct {
	NodeID     string `json:"node_id"`
	Generation int    `json:"generation"`
}
