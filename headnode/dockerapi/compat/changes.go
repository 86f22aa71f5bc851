package compat

import "net/url"

// change is one difference: clients of versions before it use the old form.
// The tables of changes have one for each noun of the API; within a route the
// oldest edge stands first. docs/CHANGELOG.md of github.com/moby/moby/api is
// the reference.
type change struct {
	before Version
	route  Route
	query  func(url.Values) // raises the parameters of a request
	body   func(doc)        // raises the body of a request
	lower  func(doc)        // lowers an answer, or each element of a list
}
