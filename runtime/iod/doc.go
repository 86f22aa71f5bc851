// Package iod is the supervisor of a node's containers: one small process that
// owns their standard streams, terminals, log files and exit statuses, and
// nothing else.
//
// It speaks HTTP over a unix socket. Besides this module it imports only the
// standard library and golang.org/x/sys, so that there is little in it that could make it die or
// grow; what a container is made of is decided by its caller.
package iod
