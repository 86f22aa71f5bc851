// Package accountapi is what an account asks of a head beside Docker's API:
// its firewall rules, snapshots and sizes of its volumes, the packages and
// networks that it may use, and how much it has of what it may have.
//
// It is JSON over HTTPS at the address of Docker's API, below Prefix, and the
// account is known by the same client certificate. Every call is about that
// account alone: what is another's is not found, as if it did not exist. A
// request's body has only fields that are known. Errors are an object with a
// kind (model.Kind) and a message; their statuses are those of Docker's API.
//
// Handler serves it, Client calls it; the types are shared.
package accountapi
