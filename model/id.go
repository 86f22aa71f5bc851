package model

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID returns a random id of 64 lower-case hex digits, as Docker's ids are.
// State machines never call it: ids are chosen before a command is proposed.
func NewID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// ShortID returns the first 12 digits of id, the form that people read.
func ShortID(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

// IsID reports whether s is a whole id: 64 lower-case hex digits.
func IsID(s string) bool {
	return len(s) == 64 && IsIDPrefix(s)
}

// IsIDPrefix reports whether s could begin an id.
func IsIDPrefix(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
