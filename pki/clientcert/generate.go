package clientcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"crypto/md5"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/model"
)

// backdate lets a certificate be used at once although the clock of the
// machine that made it is a little ahead.
const backdate = 5 * time.Minute

// usageDocker is the extended key usage by which style 2 certificates say that
// they are for the Docker endpoint: 1.3.6.1.4.1.38678.1.4.1.
func usageDocker() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 38678, 1, 4, 1}
}

// Pair is a client certificate with its private key, both PEM (PKCS#8).
type Pair struct {
	Certificate []byte
	Key         []byte
}

// Generate makes a fresh P-256 key and a style 2 certificate for it, signed by
// an SSH key: one of a file (ssh.NewSignerFromKey) or one that an agent holds
// (agent.Agent.Signers). It is valid from five minutes before now to validity
// after it.
func Generate(login string, signer ssh.Signer, now time.Time, validity time.Duration) (Pair, error) {
	issuer, err := newIssuer(signer)
	if err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot make a key for the client certificate: %w", err)
	}
	template, err := newTemplate(login, now, validity)
	if err != nil {
		return Pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
	usage, err := criticalUsage()
	if err != nil {
		return Pair{}, err
	}
	template.ExtraExtensions = []pkix.Extension{usage}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: issuer.fingerprint()}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), issuer)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot sign a certificate with the SSH key %s: %w", ssh.FingerprintSHA256(signer.PublicKey()), err)
	}
	return encodePair(der, key)
}

// GenerateSelfSigned makes a style 1 certificate: that of the SSH key itself,
// which has to be at hand as a whole. Validity is as for Generate.
func GenerateSelfSigned(login string, key crypto.Signer, now time.Time, validity time.Duration) (Pair, error) {
	if err := checkPublic(key.Public()); err != nil {
		return Pair{}, err
	}
	template, err := newTemplate(login, now, validity)
	if err != nil {
		return Pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot sign a certificate with its own key: %w", err)
	}
	return encodePair(der, key)
}

func newTemplate(login string, now time.Time, validity time.Duration) (*x509.Certificate, error) {
	if err := model.CheckLogin(login); err != nil {
		return nil, err
	}
	if validity <= 0 {
		return nil, invalid("a certificate that is valid for %s would never be", validity)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("cannot choose a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: login},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(validity),
	}, nil
}

// criticalUsage is the extended key usage of style 2 (RFC 5280 4.2.1.12),
// marked critical as the triton command does.
func criticalUsage() (pkix.Extension, error) {
	clientAuth := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	serverAuth := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
	value, err := asn1.Marshal([]asn1.ObjectIdentifier{clientAuth, usageDocker(), serverAuth})
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("cannot encode the key usage: %w", err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: value}, nil
}

func encodePair(der []byte, key crypto.Signer) (Pair, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot encode the private key: %w", err)
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
	}, nil
}

// issuer lets an SSH key sign a certificate. An SSH signature of a key of each
// kind is, but for its wrapping, the X.509 signature of the same data; so all
// that an agent can do suffices. It signs whole messages (crypto.MessageSigner),
// since an agent takes no digests.
type issuer struct {
	signer ssh.Signer
	public crypto.PublicKey
}

func newIssuer(signer ssh.Signer) (*issuer, error) {
	switch signer.PublicKey().Type() {
	case ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoSKED25519:
		return nil, invalid("keys on security tokens cannot sign certificates; use an RSA, ECDSA or Ed25519 key")
	}
	// Keys of agents are plain blobs: parse them to get at their numbers.
	public, err := ssh.ParsePublicKey(signer.PublicKey().Marshal())
	if err != nil {
		return nil, invalid("the SSH key cannot be read: %v", err)
	}
	if err := checkStrength(public); err != nil {
		return nil, err
	}
	return &issuer{signer: signer, public: public.(ssh.CryptoPublicKey).CryptoPublicKey()}, nil
}

// fingerprint is the issuer's name: of the old form, which other servers know
// too, for keys that they know too.
func (i *issuer) fingerprint() string {
	if i.signer.PublicKey().Type() == ssh.KeyAlgoED25519 {
		return ssh.FingerprintSHA256(i.signer.PublicKey())
	}
	sum := md5.Sum(i.signer.PublicKey().Marshal())
	return "MD5:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Public implements crypto.Signer.
func (i *issuer) Public() crypto.PublicKey { return i.public }

// Sign implements crypto.Signer. SSH keys sign messages, never digests.
func (i *issuer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("an SSH key does not sign digests")
}

// SignMessage implements crypto.MessageSigner.
func (i *issuer) SignMessage(random io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	sig, err := i.sign(random, message)
	if err != nil {
		return nil, err
	}
	switch sig.Format {
	case ssh.KeyAlgoRSASHA256, ssh.KeyAlgoED25519:
		return sig.Blob, nil
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		// RFC 5656 3.1.2 to RFC 3279 2.2.3.
		var rs struct{ R, S *big.Int }
		if err := ssh.Unmarshal(sig.Blob, &rs); err != nil {
			return nil, fmt.Errorf("cannot read the signature: %w", err)
		}
		return asn1.Marshal(rs)
	}
	return nil, fmt.Errorf("the signature is of the type %q, which no certificate can have", sig.Format)
}

func (i *issuer) sign(random io.Reader, message []byte) (*ssh.Signature, error) {
	if i.signer.PublicKey().Type() != ssh.KeyAlgoRSA {
		return i.signer.Sign(random, message)
	}
	s, ok := i.signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, errors.New("the agent cannot sign with RSA and SHA-256; update it or use an ECDSA or Ed25519 key")
	}
	return s.SignWithAlgorithm(random, message, ssh.KeyAlgoRSASHA256)
}
