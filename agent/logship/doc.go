// Package logship sends containers' logs to the servers that their owners named
// with the log drivers syslog, gelf and fluentd.
//
// A container's output is first of all in its log file on the node, which iod
// writes whatever becomes of the agent. A shipper reads that file from a durable
// cursor and sends what comes after it, so a server that is slow or gone holds
// nobody up: the file is the buffer. What is not yet acknowledged by the server's
// machine when a connection breaks, or when the agent dies, is sent again: over
// TCP every line arrives there at least once. Over UDP a server that is not there can
// sometimes be noticed, and what was sent last is then sent again. If rotation drops lines that were never sent, the
// server and the agent's log are told how much.
//
// Servers are dialled from inside the container's network namespace, and names
// are resolved by the container's hosts file and resolvers. So a server on a
// tenant's own network can be reached, and nobody can make the node's own address
// speak for them.
package logship
