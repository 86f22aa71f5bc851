package model

import "time"

// VolumeMove is the way of a volume, which no container mounts, to another
// node. What it takes of that node is promised while it is copied. The leading
// head goes the way step by step, and whoever leads next goes on with it.
type VolumeMove struct {
	Operation string `json:"operation"` // tells one from the next
	To        string `json:"to"`        // id of the new node
	// Step is TransferCopying, TransferUndoing or TransferSettling.
	Step  TransferStep `json:"step"`
	Rate  int64        `json:"rate,omitempty"` // bytes a second that are copied; 0 is without limit
	Since time.Time    `json:"since"`
	// Failure is why the way is not gone to its end.
	Failure string `json:"failure,omitempty"`
}

// TransferSettling is the last step of the move of a volume, which is on its
// new node by then: what the move needed there is cleared away.
const TransferSettling TransferStep = "settling"
