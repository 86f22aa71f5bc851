// Package resolver answers the DNS questions of containers (RFC 1034, RFC
// 1035). Each container has a Server of its own, at the same address in its
// own network namespace: so its questions need not say who asks, and who asks
// much waits alone. Names of the container's networks are answered from
// memory; others are passed on, as they are, to name servers which the
// container itself could ask, or to the node's.
package resolver
