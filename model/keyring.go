package model

// Keyring holds the keys of the gossip ring as the heads have agreed on them.
// Version 0 is that of a data center whose key was never changed: its machines
// have the one that they joined with.
type Keyring struct {
	Version int      `json:"version"`
	Keys    [][]byte `json:"keys,omitempty"` // the first encrypts; all open
}
