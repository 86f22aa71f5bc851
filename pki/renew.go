package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

// RenewAt is when an identity's certificate has lived two thirds of its life
// and should be replaced.
func (i *Identity) RenewAt() time.Time { return renewAt(i.pair.Load().Leaf) }

// renewAt does not count the time before the certificate was signed.
func renewAt(cert *x509.Certificate) time.Time {
	signed := cert.NotBefore.Add(backdate)
	return cert.NotAfter.Add(-cert.NotAfter.Sub(signed) / 3)
}

// Request makes a certificate request for the identity's own key, PEM.
func (i *Identity) Request() ([]byte, error) {
	key, ok := i.pair.Load().PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("cannot make a certificate request: the identity's key is not an ECDSA key")
	}
	return requestFor(key)
}

// Renew writes the new certificate (PEM) of the identity that is kept in dir,
// for the same key, and shows it on new connections from then on; those that
// are open go on. A certificate of anybody else is refused. The write is
// atomic: a crash leaves the old or the new one.
func (i *Identity) Renew(dir string, certPEM []byte) error {
	old := i.pair.Load()
	cert, err := parseCertificate(certPEM)
	if err != nil {
		return fmt.Errorf("cannot renew identity: %w", err)
	}
	key, ok := old.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return errors.New("cannot renew identity: the new certificate is not for this machine's key")
	}
	is, err := readName(cert)
	if err != nil {
		return fmt.Errorf("cannot renew identity: %w", err)
	}
	if is != (name{dc: i.dc, role: i.role, id: i.id}) {
		return errors.New("cannot renew identity: the new certificate is that of another machine")
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: i.roots, CurrentTime: i.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return fmt.Errorf("cannot renew identity: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(dir, fileCert), certPEM, 0o600); err != nil {
		return fmt.Errorf("cannot renew identity: %w", err)
	}
	i.pair.Store(&tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert})
	return nil
}

// Hosts are the names and addresses that the identity's certificate is for.
func (i *Identity) Hosts() []string {
	leaf := i.pair.Load().Leaf
	hosts := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// Refuse has every new connection with a machine refused for which gone
// reports that it was removed from the data center, although its certificate
// is valid still. It replaces what was set before. Sessions that are resumed
// are judged too, connections that are open are not.
func (i *Identity) Refuse(gone func(role Role, id string) bool) { i.gone.Store(&gone) }
