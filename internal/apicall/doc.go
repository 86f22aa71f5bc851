// Package apicall makes requests of a head's own APIs, whose bodies are JSON:
// the operator's and the account's. What differs between them, how a head is
// reached and how it words a refusal, is its caller's.
package apicall
