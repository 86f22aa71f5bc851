// Package dockerversion is what docker's own build script writes.
package dockerversion

// What the client says of itself.
const (
	GITCOMMIT = "f4bf5c7"
	VERSION   = "1.8.3"
	BUILDTIME = ""
	IAMSTATIC = "true"
	INITSHA1  = ""
	INITPATH  = ""
)
