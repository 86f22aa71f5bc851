// Package bench measures a whole data center beside a docker daemon on the same machine.
//
// Every benchmark takes both in turn, round by round, because the speed of a machine drifts
// and only a ratio within one run can be compared with that of another machine. It reports
// the median of each and ours divided by dockerd's; a table of all follows at the end, as
// docs/benchmarks.md shows it.
//
//	go test -run '^$' -bench . ./integration/bench
//
// The data center is a rack of its own, built from this tree. The yardstick is a dockerd of
// its own, in a network and a mount namespace that vanish with it, or the daemon that the
// environment's DOCKERD_HOST=unix://SOCKET names; a machine without either measures the rack
// alone. One test runs every measure once, small, so that the measuring cannot rot.
//
// It needs root. The benchmark of one NIC's attachment is in package network.
package bench
