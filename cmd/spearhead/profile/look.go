package profile

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// answerLimit bounds what is read of any answer, in bytes.
const answerLimit = 1 << 20

// skewLimit is how far a user's clock may be off: certificates are dated back five minutes.
const skewLimit = 5 * time.Minute

// sight is what a data center shows to anybody: nothing in it is trusted yet.
type sight struct {
	peers []*x509.Certificate // what it presents, its own first
	ca    []byte              // /ca.pem; nil if it shows none
	date  time.Time           // its clock; zero if it does not tell
}

// look connects without trust and without a certificate of ours. It sends nothing that is
// secret.
func look(ctx context.Context, at *url.URL) (sight, error) {
	client := httpClient(&tls.Config{
		InsecureSkipVerify: true, // trust decides afterwards, with a better message
		ServerName:         at.Hostname(),
		MinVersion:         tls.VersionTLS12,
	})
	defer client.CloseIdleConnections()

	var seen sight
	answer, _, err := get(ctx, client, at, "/_ping")
	if err != nil {
		return sight{}, explainConnect(err, at)
	}
	if answer.StatusCode != http.StatusOK {
		return sight{}, fmt.Errorf("%s is there, but does not answer as a data center should (%s to /_ping): is this its Docker endpoint?", at.Host, answer.Status)
	}
	seen.peers = answer.TLS.PeerCertificates
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		seen.date = date
	}
	answer, body, err := get(ctx, client, at, "/ca.pem")
	if err != nil {
		return sight{}, explainConnect(err, at)
	}
	if answer.StatusCode == http.StatusOK {
		seen.ca = body
	}
	return seen, nil
}

func httpClient(config *tls.Config) *http.Client {
	return &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment},
	}
}

func get(ctx context.Context, client *http.Client, at *url.URL, path string) (*http.Response, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.JoinPath(path).String(), nil)
	if err != nil {
		return nil, nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	return answer, body, errors.Join(err, answer.Body.Close())
}

// explainConnect says which step of getting there failed.
func explainConnect(err error, at *url.URL) error {
	var dns *net.DNSError
	var timeout net.Error
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		return fmt.Errorf("the name %s is not known (%w): check the profile's URL, and your name server", at.Hostname(), err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing answers at %s (connection refused): check the port in the profile's URL, and whether the data center is up", at.Host)
	case errors.As(err, &record):
		return fmt.Errorf("%s does not speak TLS: check the port in the profile's URL", at.Host)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s does not answer in time: check the profile's URL, and firewalls on the way", at.Host)
	}
	return fmt.Errorf("cannot talk to %s: %w", at.Host, err)
}

// skewError tells of a clock that is too far off for certificates, nil if none is known.
func skewError(theirs, ours time.Time) error {
	if theirs.IsZero() {
		return nil
	}
	skew := ours.Sub(theirs)
	if skew.Abs() < skewLimit {
		return nil
	}
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	return fmt.Errorf("your clock is %d seconds %s the data center's: set it right, for certificates are only valid in their time", int(skew.Abs().Seconds()), direction)
}

// verify checks the presented certificates against the roots.
func verify(seen sight, roots *x509.CertPool, at *url.URL, now time.Time) error {
	intermediates := x509.NewCertPool()
	for _, peer := range seen.peers[1:] {
		intermediates.AddCert(peer)
	}
	_, err := seen.peers[0].Verify(x509.VerifyOptions{
		DNSName: at.Hostname(), Roots: roots, Intermediates: intermediates, CurrentTime: now,
	})
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		return untrusted(seen, at)
	case errors.As(err, &name):
		return fmt.Errorf("the certificate of %s is for other names (%s): use one of them in the profile's URL", at.Host, certificateNames(seen.peers[0]))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the certificate of %s is valid from %s to %s, not now: tell its operator", at.Host,
			seen.peers[0].NotBefore.Format(time.RFC3339), seen.peers[0].NotAfter.Format(time.RFC3339))
	}
	return fmt.Errorf("the certificate of %s is not valid: %w", at.Host, err)
}

// untrusted shows what could be trusted, and how.
func untrusted(seen sight, at *url.URL) error {
	shown := "the server's certificate has the SHA-256 fingerprint " + Fingerprint(seen.peers[0])
	if ca, err := parseCA(seen.ca); err == nil {
		shown = "its CA has the SHA-256 fingerprint " + Fingerprint(ca)
	}
	return fmt.Errorf("%s is not trusted yet: %s; compare it with the operator's and run again with --insecure-first-use, or get the CA's file and give it with --ca FILE", at.Host, shown)
}

func certificateNames(certificate *x509.Certificate) string {
	names := append([]string(nil), certificate.DNSNames...)
	for _, address := range certificate.IPAddresses {
		names = append(names, address.String())
	}
	return strings.Join(names, ", ")
}

// Fingerprint is the SHA-256 of a certificate in upper-case hex with colons, as
// openssl x509 -fingerprint -sha256 prints it.
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	var pairs []string
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}

// parseCA reads the first certificate of a PEM file.
func parseCA(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("it holds no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}
