// Package registry talks to image registries for a node: which hosts may be
// spoken to in plain HTTP, which addresses may be dialled at all, how a user is
// known there, and what an error means in Docker's words.
//
// The names of registries come from users, and what a registry answers
// (redirects, token realms) comes from whoever runs it. So every connection is
// checked after the name was resolved: a registry cannot make the node speak to
// itself or to link-local and metadata addresses, unless the user named such a
// registry and the operator listed it, or the user named a loopback one.
package registry
