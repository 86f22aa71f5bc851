package pki

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 365 * 24 * time.Hour
	// backdate lets a certificate be used at once by a machine whose clock is
	// a little behind.
	backdate = 5 * time.Minute
)

// Names of the files of a CA and of an identity.
const (
	fileCA    = "ca.pem"
	fileCAKey = "ca-key.pem"
	fileCert  = "cert.pem"
	fileKey   = "key.pem"
)

// CA is a data center's certificate authority. It is safe for concurrent use.
type CA struct {
	dc   string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	life time.Duration // of what it signs; 0 is leafLifetime
}

// CreateCA makes a new authority for the data center with that id, valid for
// ten years from now.
func CreateCA(dcID string, now time.Time) (*CA, error) {
	if err := checkName("data center id", dcID); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for the certificate authority: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Spearhead data center " + dcID},
		URIs:                  []*url.URL{{Scheme: uriScheme, Host: dcID}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("cannot make the certificate authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate authority back: %w", err)
	}
	return &CA{dc: dcID, cert: cert, key: key}, nil
}

// LoadCA reads the authority that Save wrote to dir. The error wraps
// fs.ErrNotExist if there is none.
func LoadCA(dir string) (*CA, error) {
	certPEM, keyPEM, err := readPair(filepath.Join(dir, fileCA), filepath.Join(dir, fileCAKey))
	if err != nil {
		return nil, fmt.Errorf("cannot load the certificate authority: %w", err)
	}
	return NewCA(certPEM, keyPEM)
}

// NewCA puts an authority together from its certificate and key, PEM.
func NewCA(certPEM, keyPEM []byte) (*CA, error) {
	cert, err := parseCertificate(certPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot load the certificate authority: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot load the certificate authority: %w", err)
	}
	if !cert.IsCA || len(cert.URIs) != 1 || cert.URIs[0].Scheme != uriScheme {
		return nil, fmt.Errorf("cannot load the certificate authority: its certificate is not that of a data center")
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("cannot load the certificate authority: key and certificate do not belong together")
	}
	return &CA{dc: cert.URIs[0].Host, cert: cert, key: key}, nil
}

// Save writes the authority with its key to dir, so that a crash leaves either
// none or all of it: the certificate comes last.
func (ca *CA) Save(dir string) error {
	keyPEM, err := encodeKey(ca.key)
	if err != nil {
		return err
	}
	if err := writeFiles(dir, file{fileCAKey, keyPEM}, file{fileCA, ca.Certificate()}); err != nil {
		return fmt.Errorf("cannot save the certificate authority: %w", err)
	}
	return nil
}

// DataCenter is the id of the data center that the authority is for.
func (ca *CA) DataCenter() string { return ca.dc }

// Certificate returns the authority's certificate, PEM.
func (ca *CA) Certificate() []byte { return encodeCertificate(ca.cert.Raw) }

// Key returns the authority's private key, PEM: for a head that joins, and for
// nobody else.
func (ca *CA) Key() ([]byte, error) { return encodeKey(ca.key) }

// Fingerprint is the SHA-256 of the authority's certificate (DER), hex.
func (ca *CA) Fingerprint() string { return fingerprint(ca.cert) }

// Lasting returns the same authority, whose certificates for machines and
// endpoints are valid for so long instead of a year.
func (ca *CA) Lasting(life time.Duration) *CA {
	other := *ca
	other.life = life
	return &other
}

// Sign makes a certificate for the key of a certificate request (PEM): that of
// the machine id in the role, for one year (but see Lasting). hosts are the DNS names and
// addresses by which it is reached. Only the key of the request is used,
// nothing that it asks for.
func (ca *CA) Sign(csrPEM []byte, role Role, id string, hosts []string, now time.Time) ([]byte, error) {
	csr, err := parseRequest(csrPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the certificate of %s %s: %w", role, id, err)
	}
	uri, err := identityURI(ca.dc, role, id)
	if err != nil {
		return nil, fmt.Errorf("cannot sign a certificate: %w", err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: string(role) + " " + id},
		URIs:        []*url.URL{uri},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := ca.sign(template, csr.PublicKey.(*ecdsa.PublicKey), hosts, now)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the certificate of %s %s: %w", role, id, err)
	}
	return encodeCertificate(der), nil
}

// SignServer makes a key and a certificate for the Docker endpoint, to be used
// with DockerTLS: it proves the host names only and is no identity of a
// machine. hosts are its DNS names and addresses.
func (ca *CA) SignServer(hosts []string, now time.Time) (keyPEM, certPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make the endpoint's key: %w", err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Spearhead Docker endpoint"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := ca.sign(template, &key.PublicKey, hosts, now)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot sign the endpoint's certificate: %w", err)
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	return keyPEM, encodeCertificate(der), nil
}

// sign fills in what all certificates have in common.
func (ca *CA) sign(template *x509.Certificate, key *ecdsa.PublicKey, hosts []string, now time.Time) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-backdate)
	template.NotAfter = now.Add(cmp.Or(ca.life, leafLifetime))
	if template.NotAfter.After(ca.cert.NotAfter) {
		template.NotAfter = ca.cert.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		if !validHost(h) {
			return nil, fmt.Errorf("%q is neither an address nor a host name", h)
		}
		template.DNSNames = append(template.DNSNames, h)
	}
	return x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
}

func validHost(h string) bool {
	if h == "" || len(h) > 253 {
		return false
	}
	return strings.Trim(h, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*") == ""
}

// newSerial returns 127 random bits, as RFC 5280 4.1.2.2 wants: positive and
// at most 20 octets.
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("cannot choose a serial number: %w", err)
	}
	return serial, nil
}
