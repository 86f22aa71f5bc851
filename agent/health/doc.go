// Package health finds out whether a container does its work: it runs the
// container's health check in its time and judges the outcomes by Docker's
// rules. How a check is run, and who is told, is its caller's.
package health
