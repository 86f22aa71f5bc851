package clientcert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/spearheadcloud/spearhead/model"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// keysOnce makes a key of each kind, once, because RSA keys take long.
var keysOnce = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	for name, bits := range map[string]int{"RSA 2048": 2048, "RSA 3072": 3072} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys[name] = k
	}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[name] = k
	}
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	keys["Ed25519"] = k
	return keys
})

func sshSigner(t testing.TB, key crypto.Signer) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stored(t testing.TB, key crypto.Signer) model.Key {
	t.Helper()
	k, err := ParseKey(string(ssh.MarshalAuthorizedKey(sshSigner(t, key).PublicKey())), now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func leafOf(t testing.TB, p Pair) *x509.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(p.Certificate, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// addable is the key in the form that package agent takes.
func addable(key crypto.Signer) any {
	if k, ok := key.(ed25519.PrivateKey); ok {
		return &k
	}
	return key
}

// held is a signer for the key in an agent.
func held(t *testing.T, key crypto.Signer) ssh.Signer {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: addable(key)}); err != nil {
		t.Fatal(err)
	}
	signers, err := ring.Signers()
	if err != nil || len(signers) != 1 {
		t.Fatalf("%d signers, %v", len(signers), err)
	}
	return signers[0]
}

func TestMadeCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	for name, key := range keysOnce() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine, other := stored(t, key), stored(t, newKey(t))
			for style, make := range map[string]func() (Pair, error){
				"signed by the key":      func() (Pair, error) { return Generate("jill", sshSigner(t, key), now, time.Hour) },
				"signed by an agent":     func() (Pair, error) { return Generate("jill", held(t, key), now, time.Hour) },
				"of the key itself":      func() (Pair, error) { return GenerateSelfSigned("jill", key, now, time.Hour) },
				"signed through a file":  func() (Pair, error) { return Generate("jill", fromFile(t, key), now, time.Hour) },
				"signed for ten years":   func() (Pair, error) { return Generate("jill", sshSigner(t, key), now, 10*365*24*time.Hour) },
				"signed by a named user": func() (Pair, error) { return Generate("jill@example.org", sshSigner(t, key), now, time.Hour) },
			} {
				pair, err := make()
				if err != nil {
					t.Errorf("%s: %v", style, err)
					continue
				}
				leaf := leafOf(t, pair)
				got, err := Verify(leaf, []model.Key{other, mine}, now)
				if err != nil || got.SHA256 != mine.SHA256 {
					t.Errorf("%s: key %s, %v", style, got.SHA256, err)
				}
				if !strings.HasPrefix(leaf.Subject.CommonName, "jill") {
					t.Errorf("%s: the name is %q", style, leaf.Subject.CommonName)
				}
				for why, refused := range map[string]struct {
					keys []model.Key
					at   time.Time
					text string
				}{
					"with another key": {[]model.Key{other}, now, "an SSH key that the account does not have"},
					"without keys":     {nil, now, "an SSH key that the account does not have"},
					"when it is over":  {[]model.Key{mine}, leaf.NotAfter.Add(time.Second), "Client certificate expired"},
					"long before":      {[]model.Key{mine}, now.Add(-time.Hour), "not valid yet"},
				} {
					_, err := Verify(leaf, refused.keys, refused.at)
					if !model.IsKind(err, model.KindUnauthenticated) || !strings.Contains(model.UserText(err), refused.text) {
						t.Errorf("%s, %s: got %v", style, why, err)
					}
				}
			}
		})
	}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fromFile is the key as it is read from a file in OpenSSH's format.
func fromFile(t testing.TB, key crypto.Signer) ssh.Signer {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "comment")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.ParsePrivateKey(pem.EncodeToMemory(block))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestIssuerIsNamedAsOtherToolsDo(t *testing.T) {
	t.Parallel()
	for name, prefix := range map[string]string{"RSA 2048": "MD5:", "P-256": "MD5:", "Ed25519": "SHA256:"} {
		pair, err := Generate("jill", sshSigner(t, keysOnce()[name]), now, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		issuer := leafOf(t, pair).Issuer.CommonName
		if !strings.HasPrefix(issuer, prefix) || strings.HasSuffix(issuer, "=") {
			t.Errorf("%s: the issuer is %q", name, issuer)
		}
	}
}

// forge signs a style 2 certificate with key, naming the given issuer, after
// change.
func forge(t *testing.T, key crypto.Signer, issuer string, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	usage, err := criticalUsage()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "jill"}, NotBefore: now, NotAfter: now.Add(time.Hour),
		ExtraExtensions: []pkix.Extension{usage},
	}
	if change != nil {
		change(template)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: issuer}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, newKey(t).Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestForgedCertificatesAreRefused(t *testing.T) {
	t.Parallel()
	key := keysOnce()["RSA 2048"]
	mine := stored(t, key)
	thief := newKey(t)
	var small crypto.Signer
	if k, err := rsa.GenerateKey(rand.Reader, 1024); err == nil {
		small = k
	}
	for _, c := range []struct {
		name string
		leaf *x509.Certificate
		ok   bool
		text string
	}{
		{"as it should be", forge(t, key, mine.SHA256, nil), true, ""},
		{"MD5 as hex", forge(t, key, "MD5:"+mine.MD5, nil), true, ""},
		{"another's signature", forge(t, thief, mine.SHA256, nil), false, "signature"},
		{"no key usage", forge(t, key, mine.SHA256, func(c *x509.Certificate) { c.ExtraExtensions = nil }), false, "not for clients"},
		{"not for Docker", forge(t, key, mine.SHA256, func(c *x509.Certificate) {
			c.ExtraExtensions, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), false, "not for Docker"},
		{"for Docker's servers only", forge(t, key, mine.SHA256, func(c *x509.Certificate) {
			c.ExtraExtensions, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{usageDocker()}
		}), false, "not for clients"},
		{"unknown critical extension", forge(t, key, mine.SHA256, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}), false, "critical extension 1.2.3"},
		{"no fingerprint", forge(t, key, "jill", nil), false, "does not have"},
		{"empty fingerprint", forge(t, key, "MD5:", nil), false, "does not have"},
		{"no certificate", nil, false, "certificate is needed"},
		{"large", forge(t, key, mine.SHA256, func(c *x509.Certificate) {
			c.DNSNames = []string{strings.Repeat("a.", 20000) + "a"}
		}), false, "larger than"},
		{"public key of the account, another's signature", stolen(t, key, thief), false, "signature"},
		{"own key too small", weak(t, small), false, "1024 bits"},
	} {
		_, err := Verify(c.leaf, []model.Key{mine}, now)
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
		if !c.ok && (!model.IsKind(err, model.KindUnauthenticated) || !strings.Contains(model.UserText(err), c.text)) {
			t.Errorf("%s: got %v, want a text with %q", c.name, err, c.text)
		}
	}
}

// stolen is a certificate that shows the account's public key but is signed by
// a thief's.
func stolen(t *testing.T, key, thief crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "jill"}, NotBefore: now, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), thief)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func weak(t *testing.T, small crypto.Signer) *x509.Certificate {
	t.Helper()
	if small == nil {
		// This Go makes no such key any more: say that a good one is small.
		leaf := leafOf(t, must(t)(GenerateSelfSigned("jill", newKey(t), now, time.Hour)))
		leaf.SignatureAlgorithm = x509.SHA256WithRSA
		leaf.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
		return leaf
	}
	return stolen(t, small, small)
}

func must(t *testing.T) func(Pair, error) Pair {
	return func(p Pair, err error) Pair {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func TestWeakAndCostlyAlgorithmsAreRefused(t *testing.T) {
	t.Parallel()
	mine := stored(t, keysOnce()["RSA 2048"])
	for _, algorithm := range []x509.SignatureAlgorithm{x509.SHA1WithRSA, x509.MD5WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA256, x509.UnknownSignatureAlgorithm} {
		leaf := forge(t, keysOnce()["RSA 2048"], mine.SHA256, nil)
		leaf.SignatureAlgorithm = algorithm
		if _, err := Verify(leaf, []model.Key{mine}, now); !model.IsKind(err, model.KindUnauthenticated) {
			t.Errorf("%s: got %v", algorithm, err)
		}
	}
	leaf := forge(t, keysOnce()["RSA 2048"], mine.SHA256, nil)
	leaf.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 16383), E: 65537}
	if _, err := Verify(leaf, []model.Key{mine}, now); !model.IsKind(err, model.KindUnauthenticated) {
		t.Errorf("an RSA key of 16384 bits got %v", err)
	}
}

func TestGenerateRefusesWhatNobodyWouldAccept(t *testing.T) {
	t.Parallel()
	good := sshSigner(t, newKey(t))
	for name, make := range map[string]func() (Pair, error){
		"bad login":   func() (Pair, error) { return Generate("../x", good, now, time.Hour) },
		"no validity": func() (Pair, error) { return Generate("jill", good, now, 0) },
		"old agent":   func() (Pair, error) { return Generate("jill", plain{held(t, keysOnce()["RSA 2048"])}, now, time.Hour) },
		"self-signed": func() (Pair, error) { return GenerateSelfSigned("jill", newKey(t), now, -time.Hour) },
	} {
		if _, err := make(); err == nil {
			t.Errorf("%s: a certificate was made", name)
		}
	}
}

// plain hides that a signer can choose its algorithm.
type plain struct{ s ssh.Signer }

func (p plain) PublicKey() ssh.PublicKey { return p.s.PublicKey() }
func (p plain) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	return p.s.Sign(r, data)
}

func FuzzVerify(f *testing.F) {
	key := newKey(f)
	mine := stored(f, key)
	for _, make := range []func() (Pair, error){
		func() (Pair, error) { return Generate("jill", sshSigner(f, key), now, time.Hour) },
		func() (Pair, error) { return GenerateSelfSigned("jill", key, now, time.Hour) },
	} {
		pair, err := make()
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(pair.Certificate)
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if _, err := Verify(leaf, []model.Key{mine}, now); err == nil && !bytes.Contains(leaf.Raw, []byte("jill")) {
			t.Error("a certificate that nobody signed was verified")
		}
	})
}
