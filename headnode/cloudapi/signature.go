package cloudapi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // registers the hashes that signatures name
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/model"
)

// maxSkew is how far a request's Date may be from this head's clock.
const maxSkew = 300 * time.Second

// minRSA is the shortest RSA key, in bits, that proves anything.
const minRSA = 2048

// signature is what an Authorization header says.
type signature struct {
	login     string
	key       string // fingerprint or name
	algorithm string
	headers   []string // nil in the old form
	value     []byte
}

var (
	parameter = regexp.MustCompile(`^\s*([a-zA-Z]+)="([^"]*)"\s*,?`)
	keyPath   = regexp.MustCompile(`^/([^/]+)/keys/(.+)$`)
)

// parseSignature reads the value of an Authorization header of either form.
func parseSignature(header string) (signature, error) {
	rest, ok := strings.CutPrefix(header, "Signature ")
	if !ok {
		return signature{}, errors.New("the Authorization header is not of the scheme Signature")
	}
	params := map[string]string{}
	for m := parameter.FindStringSubmatch(rest); m != nil; m = parameter.FindStringSubmatch(rest) {
		params[strings.ToLower(m[1])] = m[2]
		rest = rest[len(m[0]):]
	}
	path := keyPath.FindStringSubmatch(params["keyid"])
	if path == nil {
		return signature{}, errors.New(`keyId is not of the form "/LOGIN/keys/FINGERPRINT"`)
	}
	s := signature{login: path[1], key: path[2], algorithm: strings.ToLower(params["algorithm"])}
	encoded, standard := params["signature"]
	if standard {
		s.headers = strings.Fields(strings.ToLower(params["headers"]))
		if !slices.Contains(s.headers, "date") || !slices.Contains(s.headers, "(request-target)") {
			return signature{}, errors.New("the signature must cover (request-target) and date")
		}
	} else {
		encoded = strings.TrimSpace(rest)
	}
	value, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(value) == 0 {
		return signature{}, errors.New("the signature is not base64")
	}
	s.value = value
	return s, nil
}

// text is what was signed of r.
func (s signature) text(r *http.Request) (string, error) {
	if s.headers == nil {
		return r.Header.Get("Date"), nil
	}
	lines := make([]string, len(s.headers))
	for i, h := range s.headers {
		switch h {
		case "(request-target)":
			lines[i] = h + ": " + strings.ToLower(r.Method) + " " + r.URL.RequestURI()
		case "host":
			lines[i] = h + ": " + r.Host
		default:
			values := r.Header.Values(h)
			if len(values) == 0 {
				return "", fmt.Errorf("the signature covers the header %s, which was not sent", h)
			}
			lines[i] = h + ": " + strings.Join(values, ", ")
		}
	}
	return strings.Join(lines, "\n"), nil
}

// checkDate refuses requests from too long ago or from the future.
func checkDate(r *http.Request, now time.Time) error {
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return errors.New("the Date header is missing or not a date")
	}
	if skew := now.Sub(date); skew.Abs() > maxSkew {
		return fmt.Errorf("the request's Date is %d seconds off; set the client's clock", int(skew.Seconds()))
	}
	return nil
}

// findKey finds an account's key by MD5 or SHA256 fingerprint, or by name.
func findKey(keys []model.Key, ref string) (model.Key, bool) {
	i := slices.IndexFunc(keys, func(k model.Key) bool {
		return ref == k.SHA256 || strings.TrimPrefix(ref, "MD5:") == k.MD5 || ref == k.Name
	})
	if i < 0 {
		return model.Key{}, false
	}
	return keys[i], true
}

// verify checks value as key's signature of text. The sort of key decides how:
// old clients call every algorithm rsa.
func verify(key model.Key, algorithm, text string, value []byte) error {
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key.Public))
	if err != nil {
		return fmt.Errorf("cannot read the account's key: %w", err)
	}
	withCrypto, ok := parsed.(ssh.CryptoPublicKey)
	if !ok {
		return errors.New("the account's key is of a sort that cannot sign requests")
	}
	public := withCrypto.CryptoPublicKey()
	if k, ok := public.(ed25519.PublicKey); ok {
		return errUnless(ed25519.Verify(k, []byte(text), value))
	}
	hash, err := hashOf(algorithm)
	if err != nil {
		return err
	}
	h := hash.New()
	h.Write([]byte(text)) // never fails (hash.Hash)
	digest := h.Sum(nil)
	switch k := public.(type) {
	case *rsa.PublicKey:
		return errUnless(k.N.BitLen() >= minRSA && rsa.VerifyPKCS1v15(k, hash, digest, value) == nil)
	case *ecdsa.PublicKey:
		return errUnless(ecdsa.VerifyASN1(k, digest, value))
	}
	return errors.New("the account's key is of a sort that cannot sign requests")
}

func errUnless(good bool) error {
	if good {
		return nil
	}
	return errors.New("the signature does not match")
}

func hashOf(algorithm string) (crypto.Hash, error) {
	_, name, _ := strings.Cut(algorithm, "-")
	switch name {
	case "sha256":
		return crypto.SHA256, nil
	case "sha384":
		return crypto.SHA384, nil
	case "sha512":
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("the algorithm %q is not accepted; use sha256 or sha512", algorithm)
}
