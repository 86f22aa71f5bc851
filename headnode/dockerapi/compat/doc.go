// Package compat holds every difference between the versions of the Docker
// Engine API, from Oldest to Newest, as tables: which field or parameter of
// which route came or went with which version (changes_*.go), and how the
// server behaves to clients of an older one (behaviour.go).
//
// Handlers speak the newest version only. RaiseQuery and RaiseBody turn the
// request of an older client into the newest form; Lower turns a newest answer
// into the form that an older client knows. All work on plain JSON values and
// do nothing at the newest version; Lower and RaiseQuery are idempotent.
package compat
