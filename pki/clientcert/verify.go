package clientcert

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/model"
)

const (
	// skew is how far a client's clock may be ahead of ours.
	skew = 5 * time.Minute
	// maxCertificate bounds what is looked at.
	maxCertificate = 32 << 10
)

// Verify returns that key among an account's keys which proves leaf: the
// certificate's own (style 1) or its signer (style 2). now is compared with the
// dates of the certificate. Every error is of model.KindUnauthenticated.
// Whether the certificate is for this account, by its common name, is the
// caller's to check.
func Verify(leaf *x509.Certificate, keys []model.Key, now time.Time) (model.Key, error) {
	if err := checkLeaf(leaf); err != nil {
		return model.Key{}, err
	}
	key, err := findSigner(leaf, keys)
	if err != nil {
		return model.Key{}, err
	}
	if now.After(leaf.NotAfter) {
		return model.Key{}, refuse("Client certificate expired")
	}
	if now.Add(skew).Before(leaf.NotBefore) {
		return model.Key{}, refuse("Client certificate is not valid yet; compare the clocks")
	}
	return key, nil
}

func refuse(format string, args ...any) error {
	return model.Errorf(model.KindUnauthenticated, format, args...)
}

func checkLeaf(leaf *x509.Certificate) error {
	if leaf == nil {
		return refuse("a client certificate is needed")
	}
	if len(leaf.Raw) > maxCertificate {
		return refuse("the client certificate is larger than %d bytes", maxCertificate)
	}
	switch leaf.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
	default:
		return refuse("the client certificate is signed with %s, which is too weak; make a new one", leaf.SignatureAlgorithm)
	}
	if err := checkPublic(leaf.PublicKey); err != nil {
		return refuse("the client certificate's key cannot be used: %s", model.UserText(err))
	}
	if len(leaf.UnhandledCriticalExtensions) > 0 {
		return refuse("the client certificate has the critical extension %s, which is not understood", leaf.UnhandledCriticalExtensions[0])
	}
	return nil
}

func findSigner(leaf *x509.Certificate, keys []model.Key) (model.Key, error) {
	for _, k := range keys {
		public, err := storedKey(k)
		if err != nil {
			continue
		}
		if same, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && same.Equal(public) {
			return k, checkSignature(leaf, k)
		}
	}
	i := slices.IndexFunc(keys, func(k model.Key) bool { return isFingerprint(leaf.Issuer.CommonName, k) })
	if i < 0 {
		return model.Key{}, refuse("the client certificate is made with an SSH key that the account does not have")
	}
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return model.Key{}, refuse("the client certificate is not for clients")
	}
	if !slices.ContainsFunc(leaf.UnknownExtKeyUsage, usageDocker().Equal) {
		return model.Key{}, refuse("the client certificate is not for Docker")
	}
	return keys[i], checkSignature(leaf, keys[i])
}

// isFingerprint reports whether an issuer's name is a fingerprint of the key:
// SHA256: or MD5: with base64, padded or not, or MD5 as hex with colons.
func isFingerprint(issuer string, k model.Key) bool {
	if sum, ok := strings.CutPrefix(issuer, "MD5:"); ok {
		want, err := hex.DecodeString(strings.ReplaceAll(k.MD5, ":", ""))
		if err != nil || len(want) != 16 {
			return false
		}
		if strings.EqualFold(sum, k.MD5) {
			return true
		}
		got, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(sum, "="))
		return err == nil && bytes.Equal(got, want)
	}
	return strings.HasPrefix(issuer, "SHA256:") && strings.TrimRight(issuer, "=") == k.SHA256
}

// storedKey is the key that an account's record holds.
func storedKey(k model.Key) (crypto.PublicKey, error) {
	kind, encoded, _ := strings.Cut(k.Public, " ")
	public, err := decodeKey(kind, encoded)
	if err != nil {
		return nil, err
	}
	if err := checkStrength(public); err != nil {
		return nil, err
	}
	return public.(ssh.CryptoPublicKey).CryptoPublicKey(), nil
}

// checkSignature verifies the certificate's signature with the stored key,
// never with one that the certificate itself brings.
func checkSignature(leaf *x509.Certificate, k model.Key) error {
	public, err := storedKey(k)
	if err != nil {
		return refuse("the account's key %s cannot be used: %s", k.SHA256, model.UserText(err))
	}
	if p, ok := public.(ed25519.PublicKey); ok && len(p) != ed25519.PublicKeySize {
		return refuse("the account's key %s cannot be used", k.SHA256)
	}
	signer := &x509.Certificate{PublicKey: public}
	if err := signer.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature); err != nil {
		return model.WrapError(model.KindUnauthenticated, err, "the client certificate's signature is not that of the account's key %s", k.SHA256)
	}
	return nil
}
