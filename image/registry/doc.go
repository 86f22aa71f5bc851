// Package registry talks to image registries for a node: which hosts may be
// spoken to in plain HTTP, which addresses may be dialled at all, which mirrors
// and authorities the operator has, how a user is known there, and what an error
// means in Docker's words. Manifests and blobs go by containerd's client of the
// OCI distribution specification; lists of tags, and Docker's search, by a few
// requests of its own.
//
// The names of registries come from users, and what a registry answers
// (redirects, token realms, where to upload to) comes from whoever runs it. So
// every connection is checked after the name was resolved: a registry cannot
// make the node speak to itself or to link-local and metadata addresses, unless
// the operator listed that registry or that network. Without the operator's
// word nothing leads from TLS to plain HTTP.
//
// Credentials are given to the registry they are for, and to the token server
// that it names; never to a mirror, and never to a place that the registry
// leads to.
package registry
