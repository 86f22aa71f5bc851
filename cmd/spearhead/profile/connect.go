package profile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
)

// Door is how a program of ours reaches a profile's data center as its account.
type Door struct {
	Profile Profile
	URL     *url.URL
	TLS     *tls.Config
}

// Door returns what the profile's set-up has left.
func (s Store) Door(name string) (Door, error) {
	p, err := s.Get(name)
	if err != nil {
		return Door{}, err
	}
	at, err := endpoint(p.URL)
	if err != nil {
		return Door{}, err
	}
	if !s.Ready(p) {
		return Door{}, noCertificate(name)
	}
	pair, err := tls.LoadX509KeyPair(s.file(name, "cert.pem"), s.file(name, "key.pem"))
	if err != nil {
		return Door{}, fmt.Errorf("cannot use the certificate of profile %s: %w; make it anew with: spearhead profile docker-setup %s", name, err, name)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	ca, err := os.ReadFile(s.file(name, "ca.pem"))
	if err != nil {
		return Door{}, fmt.Errorf("cannot read the CA of profile %s: %w", name, err)
	}
	if len(ca) > 0 { // else the system's decide
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return Door{}, fmt.Errorf("the CA of profile %s is no PEM certificate; set it up anew with: spearhead profile docker-setup %s", name, name)
		}
	}
	return Door{p, at, config}, nil
}

// Explain says which step of getting through the door failed, if one did.
func (d Door) Explain(err error) error {
	var transport *url.Error
	if !errors.As(err, &transport) {
		return err
	}
	return explainConnect(err, d.URL)
}

func noCertificate(name string) error {
	return fmt.Errorf("profile %s has no certificate yet: make it with: spearhead profile docker-setup %s", name, name)
}
