package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Role says what a machine is in its data center.
type Role string

// The roles.
const (
	RoleHead Role = "head"
	RoleNode Role = "node"
)

const uriScheme = "spearhead"

// Identity is what a machine proves with its certificate, together with its
// key and the CA that it trusts. It is safe for concurrent use.
type Identity struct {
	dc    string
	role  Role
	id    string
	ca    []byte
	roots *x509.CertPool
	pair  atomic.Pointer[tls.Certificate] // replaced as a whole by Renew
	gone  atomic.Pointer[func(Role, string) bool]
	now   func() time.Time
}

// NewIdentity puts an identity together from its key, its certificate and the
// CA's certificate, all PEM, and checks that they belong together. Whether it
// has expired is judged when it is used.
func NewIdentity(keyPEM, certPEM, caPEM []byte) (*Identity, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot use identity: %w", err)
	}
	ca, err := parseCertificate(caPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot use identity: CA: %w", err)
	}
	name, err := readName(pair.Leaf)
	if err != nil {
		return nil, fmt.Errorf("cannot use identity: %w", err)
	}
	if err := pair.Leaf.CheckSignatureFrom(ca); err != nil {
		return nil, fmt.Errorf("cannot use identity: the CA did not sign its certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	i := &Identity{
		dc: name.dc, role: name.role, id: name.id,
		ca: caPEM, roots: roots, now: time.Now,
	}
	i.pair.Store(&pair)
	return i, nil
}

// Load reads the identity that Save wrote to dir: key.pem, cert.pem and
// ca.pem. The error wraps fs.ErrNotExist if there is none.
func Load(dir string) (*Identity, error) {
	certPEM, keyPEM, err := readPair(filepath.Join(dir, fileCert), filepath.Join(dir, fileKey))
	if err != nil {
		return nil, fmt.Errorf("cannot load identity: %w", err)
	}
	caPEM, err := os.ReadFile(filepath.Join(dir, fileCA))
	if err != nil {
		return nil, fmt.Errorf("cannot load identity: %w", err)
	}
	return NewIdentity(keyPEM, certPEM, caPEM)
}

// Save checks that key, certificate and CA belong together and writes them to
// dir, so that a crash leaves either none or all of them: the certificate
// comes last.
func Save(dir string, keyPEM, certPEM, caPEM []byte) error {
	if _, err := NewIdentity(keyPEM, certPEM, caPEM); err != nil {
		return err
	}
	if err := writeFiles(dir, file{fileKey, keyPEM}, file{fileCA, caPEM}, file{fileCert, certPEM}); err != nil {
		return fmt.Errorf("cannot save identity: %w", err)
	}
	return nil
}

// DataCenter is the id of the data center that the machine belongs to.
func (i *Identity) DataCenter() string { return i.dc }

// Role is what the machine is.
func (i *Identity) Role() Role { return i.role }

// ID is the machine's id.
func (i *Identity) ID() string { return i.id }

// CA returns the CA's certificate, PEM.
func (i *Identity) CA() []byte { return append([]byte(nil), i.ca...) }

// Expires is the end of the certificate's validity.
func (i *Identity) Expires() time.Time { return i.pair.Load().Leaf.NotAfter }

// name is what a machine's certificate says of it.
type name struct {
	dc   string
	role Role
	id   string
}

var errNoName = errors.New("the certificate does not name a machine of a data center")

func readName(cert *x509.Certificate) (name, error) {
	if cert == nil || len(cert.URIs) != 1 {
		return name{}, errNoName
	}
	u := cert.URIs[0]
	role, id, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	want, err := identityURI(u.Host, Role(role), id)
	if !ok || err != nil || want.String() != u.String() {
		return name{}, errNoName
	}
	return name{dc: u.Host, role: Role(role), id: id}, nil
}

func identityURI(dc string, role Role, id string) (*url.URL, error) {
	if err := checkName("data center id", dc); err != nil {
		return nil, err
	}
	if role != RoleHead && role != RoleNode {
		return nil, fmt.Errorf("unknown role %q", role)
	}
	if err := checkName("machine id", id); err != nil {
		return nil, err
	}
	return &url.URL{Scheme: uriScheme, Host: dc, Path: "/" + string(role) + "/" + id}, nil
}

// checkName keeps out of the URI what would have to be escaped in it.
func checkName(what, s string) error {
	if s == "" || len(s) > 128 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return fmt.Errorf("invalid %s %q: use up to 128 of a-z, 0-9, dot, dash and underscore", what, s)
	}
	return nil
}
