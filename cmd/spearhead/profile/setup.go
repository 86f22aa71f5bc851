package profile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/pki/clientcert"
)

// certificateLife is how long a client certificate is valid. Taking the SSH key from the
// account ends it at once, whatever it says itself.
const certificateLife = 365 * 24 * time.Hour

// SetupOptions say whom to trust and whom to ask.
type SetupOptions struct {
	CAFile        string     // PEM file of the data center's CA; "" for what an earlier set-up trusted, else the system's CAs
	TrustFirstUse bool       // trust the CA that the data center shows now, and print its fingerprint
	Ask           Passphrase // asks for the passphrase of an encrypted key
	Out           io.Writer  // gets a line for each step done
}

// Setup makes the profile's client certificate, proves that the data center accepts it, and
// writes the certificate folder, env.sh and the docker context. It can be repeated to renew
// them. Nothing is written unless every check passed.
func (s Store) Setup(ctx context.Context, name string, options SetupOptions) (Profile, error) {
	p, err := s.Get(name)
	if err != nil {
		return Profile{}, err
	}
	at, err := endpoint(p.URL)
	if err != nil {
		return Profile{}, err
	}
	now := time.Now()
	ca, err := s.trust(ctx, p, at, options, now)
	if err != nil {
		return Profile{}, err
	}
	signer, closer, err := LoadKey(ctx, p.Key, options.Ask)
	if err != nil {
		return Profile{}, err
	}
	pair, err := clientcert.Generate(p.Account, signer, now, certificateLife)
	if err = errors.Join(err, closer.Close()); err != nil {
		return Profile{}, fmt.Errorf("cannot make a certificate with the key %s: %w", ssh.FingerprintSHA256(signer.PublicKey()), err)
	}
	if err := prove(ctx, p, at, ca, pair, signer.PublicKey()); err != nil {
		return Profile{}, err
	}
	fmt.Fprintf(options.Out, "account %s: the data center accepts the key %s\n", p.Account, ssh.FingerprintSHA256(signer.PublicKey()))
	if err := s.write(&p, map[string][]byte{"ca.pem": ca, "cert.pem": pair.Certificate, "key.pem": pair.Key}, options.Out); err != nil {
		return Profile{}, err
	}
	fmt.Fprintf(options.Out, "the certificate is valid until %s; the same command renews it\n", now.Add(certificateLife).Format(time.DateOnly))
	return p, nil
}

// trust looks at the data center and decides whether it is the right one. It returns the PEM
// text of the CA that docker shall trust from now on.
func (s Store) trust(ctx context.Context, p Profile, at *url.URL, options SetupOptions, now time.Time) ([]byte, error) {
	seen, err := look(ctx, at)
	if err != nil {
		return nil, err
	}
	if err := skewError(seen.date, now); err != nil {
		return nil, err
	}
	ca, err := s.chooseCA(p, seen, options)
	if err != nil {
		return nil, err
	}
	var roots *x509.CertPool // nil is the system's
	if ca != nil {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			return nil, errors.New("cannot use the CA: the file holds no PEM certificate")
		}
	}
	if err := verify(seen, roots, at, now); err != nil {
		return nil, err
	}
	if ca == nil {
		ca = seen.ca
	}
	fmt.Fprintf(options.Out, "data center %s: reached and trusted\n", at.Host)
	return ca, nil
}

// chooseCA returns nil if the system's CAs shall decide.
func (s Store) chooseCA(p Profile, seen sight, options SetupOptions) ([]byte, error) {
	if options.CAFile != "" {
		ca, err := os.ReadFile(options.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the CA: %w", err)
		}
		return ca, nil
	}
	if options.TrustFirstUse {
		ca, err := parseCA(seen.ca)
		if err != nil {
			return nil, fmt.Errorf("cannot use the CA that the data center shows at /ca.pem: %w", err)
		}
		fmt.Fprintf(options.Out, "trusting, at first use, the CA with the SHA-256 fingerprint\n  %s\n", Fingerprint(ca))
		return seen.ca, nil
	}
	ca, err := os.ReadFile(s.file(p.Name, "ca.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return ca, err
}

// prove asks the data center who we are, with the new certificate.
func prove(ctx context.Context, p Profile, at *url.URL, ca []byte, made clientcert.Pair, public ssh.PublicKey) error {
	pair, err := tls.X509KeyPair(made.Certificate, made.Key)
	if err != nil {
		return fmt.Errorf("cannot use the new certificate: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(ca)
	}
	client := httpClient(config)
	defer client.CloseIdleConnections()
	answer, body, err := get(ctx, client, at, "/info")
	if err != nil {
		return explainConnect(err, at)
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		return fmt.Errorf("the data center does not let account %s in with the key %s (%s): the account is unknown there, or has no such key; send your public key to the operator, who adds it with: spearhead key add %s FILE",
			p.Account, ssh.FingerprintSHA256(public), dockerMessage(body), p.Account)
	}
	return fmt.Errorf("the data center refuses account %s: %s (%s)", p.Account, dockerMessage(body), answer.Status)
}

// dockerMessage is the text of an error in Docker's JSON form.
func dockerMessage(body []byte) string {
	var message struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &message) != nil || message.Message == "" {
		return "no reason given"
	}
	return strings.TrimSpace(message.Message)
}

// write leaves the files that docker and shells read.
func (s Store) write(p *Profile, files map[string][]byte, out io.Writer) error {
	host, err := dockerHost(p.URL)
	if err != nil {
		return err
	}
	if err := s.writeContext(*p, host, files); err != nil {
		return err
	}
	p.Context = true
	if err := s.save(*p); err != nil {
		return err
	}
	folder := s.folder(p.Name)
	for name, content := range files {
		if err := atomicfile.Write(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	if err := atomicfile.Write(filepath.Join(folder, "env.sh"), []byte(env(p.Name, host, folder)), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(out, "docker context %s and %s: written\n", p.Name, filepath.Join(folder, "env.sh"))
	return nil
}
