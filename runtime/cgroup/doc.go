// Package cgroup steers and reads the control groups of a container that an
// OCI runtime has made: it freezes and thaws them, changes limits while the
// container runs, and counts what it uses.
//
// Both versions are known (Linux, Documentation/admin-guide/cgroup-v1 and
// cgroup-v2.rst). It writes the kernel's files itself: an OCI runtime's update
// command costs a process, cannot be undone half-way, and orders the writes of
// memory and swap differently from one version to the next. Everything is
// plain files below a root that the caller names, so a directory of ordinary
// files stands in for a kernel that has not the controllers.
package cgroup
