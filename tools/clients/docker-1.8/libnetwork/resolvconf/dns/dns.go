// Package dns is the one function of libnetwork that the client uses.
package dns

import "strings"

// IsLocalhost tells whether an address is one of loopback.
func IsLocalhost(ip string) bool { return strings.HasPrefix(ip, "127.") || ip == "::1" }
