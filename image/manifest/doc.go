// Package manifest reads what describes an image: indexes, manifests and
// configurations, of the OCI image specification and of Docker's schema 2. It
// does no I/O.
//
// All of it is hostile input: sizes and counts are bounded, a document must be
// what its media type says and nothing else besides, and a configuration that
// asks for something no container may have is refused when it is read, not when
// a container starts.
package manifest
