// Package publish makes published ports of containers reachable at this head's
// own address, for accounts that want it (model.PublishEndpoint): clients that
// take the host of DOCKER_HOST for where containers are work then.
//
// Each head does so by itself, from the replicated state: it listens on the
// numbers of the containers that run, and carries connections and datagrams on
// to the containers' own addresses on external networks. Whoever may reach the
// head may so reach what is open to everybody anyway, and nothing else: no
// target is an address of a machine of the data center.
//
// Containers see a head's address as their client's. How many connections are
// carried at once is bounded, and nothing of a connection is kept when its
// container ends or this head does.
package publish
