// Package cloudapi serves the two CloudAPI calls that set a Docker client up:
// GET /--ping and GET /LOGIN/services, so that Triton's setup script and its
// command line work unmodified.
//
// Requests are signed with an account's SSH key: the draft "Signing HTTP
// Messages" (draft-cavage-http-signatures), and an older form that signs the
// Date header alone and is good for replay within its five minutes; both calls
// are harmless, and nothing else accepts it.
package cloudapi
