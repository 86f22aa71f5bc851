package model

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Roles of a machine that joins.
const (
	RoleHead = "head"
	RoleNode = "node"
)

// Token lets one machine join the data center. Its secret is not kept, only a
// hash of it.
type Token struct {
	ID      string `json:"id"`   // names it among the tokens; part of its text
	Role    string `json:"role"` // RoleHead or RoleNode
	Hash    string `json:"hash"` // SHA-256 of the secret, hex
	Approve bool   `json:"approve,omitempty"`

	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`

	// Machine is the id that the machine got which used the token, and Key the
	// hash of that machine's public key, which may ask again. Both are empty
	// before.
	Machine string `json:"machine,omitempty"`
	Key     string `json:"key,omitempty"`
}

// TokenText is a token as operators hand it on: what proves the right to join,
// and by what the machine recognizes the data center before it says that.
type TokenText struct {
	Role        string
	ID          string
	Secret      string
	Fingerprint string // SHA-256 of the CA's certificate (DER), hex
}

// String is the token's one-line form.
func (t TokenText) String() string {
	return strings.Join([]string{"spearhead", t.Role, t.ID, t.Secret, t.Fingerprint}, "-")
}

// Sizes of a token's parts, in hexadecimal digits.
const (
	TokenIDDigits     = 12
	TokenSecretDigits = 32 // 128 random bits, which nobody guesses: a plain hash of them is enough
	fingerprintDigits = 64
)

// ParseToken is the reverse of TokenText.String. The error does not repeat
// what it was given.
func ParseToken(text string) (TokenText, error) {
	parts := strings.Split(strings.TrimSpace(text), "-")
	if len(parts) != 5 || parts[0] != "spearhead" {
		return TokenText{}, Errorf(KindInvalid, "this is no join token; make one on a head with: spearhead token create --role node")
	}
	t := TokenText{Role: parts[1], ID: parts[2], Secret: parts[3], Fingerprint: parts[4]}
	if t.Role != RoleHead && t.Role != RoleNode || !isHex(t.ID, TokenIDDigits) || !isHex(t.Secret, TokenSecretDigits) || !isHex(t.Fingerprint, fingerprintDigits) {
		return TokenText{}, Errorf(KindInvalid, "the join token is incomplete or misspelt; copy the whole line that spearhead token create printed")
	}
	return t, nil
}

func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

// HashSecret is what is kept of a token's secret.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
