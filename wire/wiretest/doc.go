// Package wiretest is the contract of wire.Agent as tests: Run checks any
// implementation, directly or through a client and a handler. It brings an
// Agent that lives in memory, for tests of whoever calls agents, and the
// process that such agents run.
package wiretest
