package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// endpoint keeps the certificate of a Docker endpoint, and makes a new one
// when two thirds of its life are over.
type endpoint struct {
	ca    *CA
	hosts []string
	now   func() time.Time

	mu   sync.Mutex
	pair *tls.Certificate
}

// DockerTLS is the configuration of the Docker endpoint that is reached at
// those host names and addresses. Its certificate, which proves them only and
// is no identity of a machine, renews itself. It asks for a client certificate
// and takes any or none: who the client is has to be judged at every request,
// also because resumed sessions skip the handshake. HTTP/2 is not offered,
// since Docker's attached streams need a connection of their own.
func DockerTLS(ca *CA, hosts []string) (*tls.Config, error) {
	e := &endpoint{ca: ca, hosts: hosts, now: time.Now}
	if _, err := e.certificate(nil); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: e.certificate,
		ClientAuth:     tls.RequestClientCert,
		NextProtos:     []string{"http/1.1"},
	}, nil
}

func (e *endpoint) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if e.pair != nil && now.Before(renewAt(e.pair.Leaf)) {
		return e.pair, nil
	}
	keyPEM, certPEM, err := e.ca.SignServer(e.hosts, now)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot use the endpoint's certificate: %w", err)
	}
	e.pair = &pair
	return e.pair, nil
}

// EndpointClient is the configuration of a client of a Docker endpoint that
// knows the data center's CA (PEM) and nothing else: whatever name it was
// called by, only a head can show a certificate for endpoints. Those of
// machines are refused, which every node has.
func EndpointClient(caPEM []byte) (*tls.Config, error) {
	ca, err := parseCertificate(caPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot use the data center's CA: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection does all of the verification
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return errors.New("the head has shown no certificate")
			}
			leaf := cs.PeerCertificates[0]
			if len(leaf.URIs) != 0 {
				return errors.New("this is the certificate of a machine, not of a head's public endpoint")
			}
			_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
			return err
		},
	}, nil
}
