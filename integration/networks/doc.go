// Package networks tests networks with the real docker client and real packets:
// a rack of three nodes, accounts whose networks have the same addresses,
// names, ports, firewalls, and agents that are killed meanwhile.
package networks
