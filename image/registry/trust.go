package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// tlsConfig returns what TLS connections to a registry trust and show.
func (p *Policy) tlsConfig(name string, insecure bool) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // the operator listed it
	if p.certsDir == "" {
		return config, nil
	}
	for _, folder := range certFolders(name) {
		if err := addCertificates(config, filepath.Join(p.certsDir, folder)); err != nil {
			return nil, model.WrapError(model.KindUnavailable, err, "the node's certificates for registry %s cannot be used; an operator can mend them", name)
		}
	}
	return config, nil
}

// certFolders are the folders for a registry: of its host, and of the host
// with its port. A name that could lead out of the folder of all has none.
func certFolders(name string) []string {
	host := model.RegistryHost(name)
	if strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return nil
	}
	if host == name {
		return []string{host}
	}
	return []string{host, name}
}

func addCertificates(config *tls.Config, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read certificates: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch filepath.Ext(path) {
		case ".crt":
			err = addAuthority(config, path)
		case ".cert":
			err = addIdentity(config, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addAuthority trusts an authority beside those of the machine.
func addAuthority(config *tls.Config, path string) error {
	pem, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read authority: %w", err)
	}
	if config.RootCAs == nil {
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			return fmt.Errorf("cannot read the machine's authorities: %w", err)
		}
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("cannot read authority: %s holds no certificate", filepath.Base(path))
	}
	return nil
}

func addIdentity(config *tls.Config, path string) error {
	pair, err := tls.LoadX509KeyPair(path, strings.TrimSuffix(path, ".cert")+".key")
	if err != nil {
		return fmt.Errorf("cannot read certificate and key: %w", err)
	}
	config.Certificates = append(config.Certificates, pair)
	return nil
}
