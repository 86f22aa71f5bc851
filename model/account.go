package model

import (
	"regexp"
	"time"
)

// Policy says what an account may ask of the machines it runs on.
type Policy string

// A tenant may ask for nothing that reaches outside of its containers; a
// trusted account may also use host paths, privileges and host namespaces.
const (
	PolicyTenant  Policy = "tenant"
	PolicyTrusted Policy = "trusted"
)

// Account is a tenant of the data center: it owns containers, image names and
// keys.
type Account struct {
	ID      string    `json:"id"`
	Login   string    `json:"login"`
	Policy  Policy    `json:"policy"`
	Created time.Time `json:"created"`
	Keys    []Key     `json:"keys,omitempty"`
	// Limits bound what the account may have at once.
	Limits AccountLimits `json:"limits,omitzero"`
	// Publish says where ports of its containers are published from now on.
	Publish Publish `json:"publish,omitempty"`
}

// Unlimited bounds nothing, NoneAllowed allows nothing.
const (
	Unlimited   int64 = 0
	NoneAllowed int64 = -1
)

// AccountLimits is how much an account may have at once: Unlimited,
// NoneAllowed, or a number.
type AccountLimits struct {
	Containers int64 `json:"containers,omitempty"`
	Memory     int64 `json:"memory,omitempty"` // bytes, of all containers
	CPU        int64 `json:"cpu,omitempty"`    // thousandths of a core, of all containers
	Disk       int64 `json:"disk,omitempty"`   // bytes, of all containers and volumes
	Networks   int64 `json:"networks,omitempty"`
	Volumes    int64 `json:"volumes,omitempty"`
	Images     int64 `json:"images,omitempty"` // names for images
	Rules      int64 `json:"rules,omitempty"`  // firewall rules
}

// Key is an SSH public key by which an account is known.
type Key struct {
	Name   string    `json:"name"`
	Public string    `json:"public"` // authorized_keys form: type, base64; no options, no comment
	SHA256 string    `json:"sha256"` // "SHA256:" and unpadded base64, as ssh-keygen -l prints it
	MD5    string    `json:"md5"`    // colon-separated hex, as ssh-keygen -l -E md5 prints it, without "MD5:"
	Added  time.Time `json:"added"`
}

var loginRule = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.@-]{0,62}$`)

// CheckLogin returns an error of KindInvalid if login cannot name an account.
func CheckLogin(login string) error {
	if !loginRule.MatchString(login) {
		return Errorf(KindInvalid, "invalid account login %q: use a letter, then up to 62 letters, digits, or any of _ . @ -", login)
	}
	return nil
}
