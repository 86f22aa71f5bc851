// Package ocispec translates a model.ContainerSpec into the OCI runtime
// specification of one run.
//
// It is pure: everything that depends on the machine, on the container's root
// or on the time comes in by Input. What comes out when nothing special is
// asked for is what Docker makes: its capabilities, its mounts, its masked and
// read-only paths. See OCI runtime-spec 1.x, config.md and config-linux.md.
package ocispec
