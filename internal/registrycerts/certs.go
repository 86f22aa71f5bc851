package registrycerts

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Add lets config trust and show what an operator laid down in dir for a
// registry, given as host or host:port. An empty dir holds nothing.
func Add(config *tls.Config, dir, registry string) error {
	if dir == "" {
		return nil
	}
	for _, folder := range folders(registry) {
		if err := addFolder(config, filepath.Join(dir, folder)); err != nil {
			return fmt.Errorf("cannot use certificates for registry %s: %w", registry, err)
		}
	}
	return nil
}

// folders are those for a registry: of its host, and of the host with its
// port. A name that could lead out of the folder of all has none.
func folders(registry string) []string {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = strings.Trim(registry, "[]") // without a port
	}
	if host == "" || strings.ContainsAny(registry, `/\`) || strings.HasPrefix(registry, ".") {
		return nil
	}
	if host == registry {
		return []string{host}
	}
	return []string{host, registry}
}

func addFolder(config *tls.Config, dir string) error {
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
