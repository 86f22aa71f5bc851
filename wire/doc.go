// Package wire is what a head and an agent say to each other: the messages,
// the Agent interface that both ends agree on, and its form as HTTP/1.1 and
// JSON over mutual TLS.
//
// A head dials nodes, and nodes each other, for content only (NewPeerHandler);
// nobody dials a head. NewHandler serves an Agent; NewClient is an Agent
// that calls one over HTTP; wire/wiretest is the contract that every
// implementation passes. Long-lived byte streams (attach, exec) are upgraded
// connections that end in each direction on their own. Messages grow by
// adding fields; a field is never given another meaning.
//
// There are no Docker types here, but for two formats that pass through
// unread: the multiplexed standard streams (moby's stdcopy framing) and
// json-file's time stamps in logs.
package wire
