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

// RuleChange says what to change of a rule; nil leaves a field as it is.
type RuleChange struct {
	Text        *string `json:"text,omitempty"`
	Description *string `json:"description,omitempty"`
	Enabled     *bool   `json:"enabled,omitempty"`
}

// Of is r with the change made.
func (c RuleChange) Of(r Rule) Rule {
	if c.Text != nil {
		r.Text = *c.Text
	}
	if c.Description != nil {
		r.Description = *c.Description
	}
	if c.Enabled != nil {
		r.Enabled = *c.Enabled
	}
	return r
}
