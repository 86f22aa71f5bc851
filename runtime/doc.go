// Package runtime runs containers on a node: it turns a model.ContainerSpec
// into an OCI bundle, has an OCI runtime (crun, or runc) make the process, and
// gives access to its streams, logs, execs and end.
//
// Nothing that a container needs in order to live is held by the process that
// uses this package. Streams, terminals, exit statuses and log files belong to
// iod (package iod), one small supervisor per node that Open starts when it is
// not there, and starts again whenever it dies. The agent may therefore be
// killed, restarted or upgraded without a container noticing; and it is the
// second holder of iod's descriptors, so that iod may die too. DESIGN.md tells
// what survives what.
//
// It also steers and watches what runs: pausing, limits while a container runs,
// statistics, health probes and execs. Limits and counters are control groups
// of either version (package cgroup).
//
// The specification followed is OCI runtime-spec 1.x; defaults are Docker's.
package runtime
