// Package integration tests a whole data center as its users meet it: the real docker
// client against a rack on this machine, with a real registry beside it. Package bed is what
// the tests stand on; package clients has the other clients that people use, package images
// registries of every kind.
package integration
