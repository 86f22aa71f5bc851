// Package dockerapi is the Docker Engine API of a head: it decodes a request,
// makes one call to a use case, and encodes the answer, or joins the
// connection to a container's streams. It knows HTTP and nothing of raft,
// nodes or storage; what it asks of the head is declared in backend.go.
//
// The newest API version, compat.Newest, is the only one that the handlers
// speak. Requests of older clients are raised to it and answers are lowered
// from it by package compat. The reference is swagger.yaml and docs/ of the
// module github.com/moby/moby/api.
//
// What is listed and inspected often is kept encoded (cache.go) while nothing
// that it shows has changed; what only a node knows, sizes, statistics and the
// newest probes of health, is asked for each time. Streams are relayed
// (relay.go), archives are carried in large parts (archive.go), and an archive
// that breaks off ends its connection.
//
// Rules that hold for every route: the client is authenticated before anything
// else is looked at, except for /_ping and /ca.pem; bodies, nesting and filters are
// bounded; a malformed request is answered with 400 and changes nothing; what
// this server cannot do is refused by name and never ignored.
package dockerapi
