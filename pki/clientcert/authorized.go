package clientcert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/model"
)

const (
	maxLine    = 16 << 10 // an RSA key of 8192 bits takes 1.4 kB
	maxComment = 255
	minRSABits = 2048
	maxRSABits = 8192 // a larger one costs more to verify than a request should
)

// ParseKey reads one line of an authorized_keys file or of a .pub file. The
// key's Name is the line's comment and Added is added. Every error is of
// model.KindInvalid and says what to do.
func ParseKey(line string, added time.Time) (model.Key, error) {
	if len(line) > maxLine {
		return model.Key{}, invalid("the key is longer than %d bytes; give one line of a .pub file", maxLine)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
		return model.Key{}, invalid("the key holds line breaks or control characters; give one line of a .pub file")
	}
	if !utf8.ValidString(line) {
		return model.Key{}, invalid("the key is not text in UTF-8; give one line of a .pub file")
	}
	if strings.Contains(line, "PRIVATE KEY") {
		return model.Key{}, invalid("this is a private key, which must stay with you; give the file that ends in .pub")
	}
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	encoded, comment, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if kind == "" || encoded == "" {
		return model.Key{}, invalid("this is no SSH public key; give one line of a .pub file: type, key, comment")
	}
	public, err := decodeKey(kind, encoded)
	if err != nil {
		return model.Key{}, err
	}
	if err := checkStrength(public); err != nil {
		return model.Key{}, err
	}
	comment = strings.TrimSpace(comment)
	if len(comment) > maxComment {
		return model.Key{}, invalid("the key's comment is longer than %d bytes", maxComment)
	}
	return model.Key{
		Name:   comment,
		Public: strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(public)), "\n"),
		SHA256: ssh.FingerprintSHA256(public),
		MD5:    ssh.FingerprintLegacyMD5(public),
		Added:  added,
	}, nil
}

func invalid(format string, args ...any) error {
	return model.Errorf(model.KindInvalid, format, args...)
}

func decodeKey(kind, encoded string) (ssh.PublicKey, error) {
	switch kind {
	case ssh.KeyAlgoRSA, ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
	case "ssh-dss":
		return nil, invalid("DSA keys are too weak; make a key with ssh-keygen -t ed25519")
	case ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoSKED25519:
		return nil, invalid("keys on security tokens (%s) cannot sign certificates; use an RSA, ECDSA or Ed25519 key", kind)
	default:
		if strings.HasSuffix(kind, "-cert-v01@openssh.com") {
			return nil, invalid("this is an SSH certificate; give the key itself, the file that ends in .pub")
		}
		if strings.ContainsAny(kind, "=,") || isOption(kind) {
			return nil, invalid("options before a key are not supported; give the line without %q", clip(kind))
		}
		return nil, invalid("unknown type of SSH key %q; use RSA, ECDSA or Ed25519", clip(kind))
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, invalid("the key is damaged: its second part is not base64")
	}
	public, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, invalid("the key is damaged: its contents are not those of an SSH key")
	}
	if public.Type() != kind {
		return nil, invalid("the key says that it is of type %s, but is of type %s", kind, clip(public.Type()))
	}
	if !bytes.Equal(public.Marshal(), blob) {
		return nil, invalid("the key is not written in its one proper form")
	}
	return public, nil
}

func isOption(word string) bool {
	switch strings.ToLower(word) {
	case "restrict", "cert-authority", "no-pty", "no-port-forwarding", "no-agent-forwarding", "no-x11-forwarding", "no-user-rc", "no-touch-required", "verify-required":
		return true
	}
	return false
}

func checkStrength(public ssh.PublicKey) error {
	key, ok := public.(ssh.CryptoPublicKey)
	if !ok {
		return invalid("keys of type %s cannot be used", public.Type())
	}
	return checkPublic(key.CryptoPublicKey())
}

// checkPublic refuses keys that are too weak or too costly.
func checkPublic(public any) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return invalid("the RSA key has %d bits; at least %d are needed", bits, minRSABits)
		} else if bits > maxRSABits {
			return invalid("the RSA key has %d bits; at most %d are allowed", bits, maxRSABits)
		}
		return nil
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return nil
	}
	return invalid("keys of type %T cannot be used", public)
}

// clip keeps a user's text short enough to be repeated in an error.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
