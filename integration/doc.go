// Package integration tests a whole data center as its users meet it: the real docker
// client against a rack on this machine, with a real registry beside it.
//
// TestMain builds the program once and brings one rack up, which most tests share; those
// that break things put them right again. Every test removes its containers. At the end the
// rack goes, and the machine must be as it was before. All of it needs root; without it the
// tests are skipped.
package integration
