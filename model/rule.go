package model

import "time"

// Rule is a firewall rule of an account's containers, as package fwrule reads
// it.
type Rule struct {
	ID          string    `json:"id"`
	AccountID   string    `json:"account_id,omitempty"` // "" is of every account
	Text        string    `json:"text"`
	Enabled     bool      `json:"enabled"`
	Description string    `json:"description,omitempty"`
	Created     time.Time `json:"created"`
}
