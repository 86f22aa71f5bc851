package accountapi

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Prefix begins the path of every call. The number changes when a call that
// there is comes to mean something else.
const Prefix = "/spearhead/v1"

// Rule is a firewall rule of the account's containers.
type Rule struct {
	ID          string    `json:"id"`
	Text        string    `json:"text"`
	Enabled     bool      `json:"enabled"`
	Description string    `json:"description,omitempty"`
	Created     time.Time `json:"created"`
	// Fixed rules are an operator's: the account sees them and cannot change
	// them.
	Fixed bool `json:"fixed,omitempty"`
}

// NewRule is a rule that is to be.
type NewRule struct {
	Text        string `json:"text"`
	Description string `json:"description,omitempty"`
	Disabled    bool   `json:"disabled,omitempty"` // it is not to hold yet
}

// Volume is a volume of the account.
type Volume struct {
	Name       string            `json:"name"`
	Size       int64             `json:"size,omitempty"` // bytes that it may hold; 0 is without bound
	Used       *int64            `json:"used,omitempty"` // bytes; nil where its node cannot be asked
	Containers int               `json:"containers"`     // that mount it
	State      string            `json:"state"`          // as model.Volume tells it
	Labels     map[string]string `json:"labels,omitempty"`
	Created    time.Time         `json:"created"`
}

// NewSnapshot names a snapshot that is to be taken.
type NewSnapshot struct {
	Name string `json:"name"`
}

// Restoring names the snapshot that a volume is to be as.
type Restoring struct {
	Snapshot string `json:"snapshot"`
}

// Resizing says how much a volume may hold, in bytes; 0 is without bound. It
// must be said.
type Resizing struct {
	Size *int64 `json:"size"`
}

// Renaming is a volume's new name.
type Renaming struct {
	Name string `json:"name"`
}

// Cloning says what to make of a volume.
type Cloning struct {
	Snapshot string `json:"snapshot,omitempty"` // "" is the files of this moment
	To       string `json:"to"`
}

// KindPool is the kind of a Network that is several under one name.
const KindPool = "pool"

// Network is one that containers of the account may be on.
type Network struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Kind    string `json:"kind"` // a model.NetworkKind, or KindPool
	Own     bool   `json:"own"`  // the account's alone
	Default bool   `json:"default,omitempty"`
	// Subnets are its addresses, IPv4 first; of a pool, those of its networks.
	Subnets  []string `json:"subnets"`
	Gateways []string `json:"gateways,omitempty"`
}

// Usage is what the account may have and what it has.
type Usage struct {
	Login  string              `json:"login"`
	Limits model.AccountLimits `json:"limits"`
	Used   model.AccountLimits `json:"used"`
}

// failure is the body of an answer that is an error.
type failure struct {
	Kind    model.Kind `json:"kind"`
	Message string     `json:"message"`
}
