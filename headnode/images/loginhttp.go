package images

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/spearheadcloud/spearhead/internal/registrycerts"
)

const (
	loginTimeout = 20 * time.Second
	maxAnswer    = 1 << 20
	maxHeader    = 64 << 10
	maxRedirects = 10
)

var (
	errGuarded   = errors.New("the address belongs to this machine or to the data center")
	errDowngrade = errors.New("the registry redirects to plain HTTP")
)

// speaksNoTLS reports whether err is that of a connection to a server that does
// not speak TLS, or that is not there.
func speaksNoTLS(err error) bool {
	record := tls.RecordHeaderError{}
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record) || errors.Is(err, syscall.ECONNREFUSED)
}

// client makes one for a registry. An insecure one may be at any address and
// show any certificate.
func (l loginClient) client(host string, insecure bool) (*http.Client, error) {
	security := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // the operator listed it
	if err := registrycerts.Add(security, l.certsDir, host); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !insecure {
		dialer.Control = l.guard
	}
	return &http.Client{
		Timeout: loginTimeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: security, TLSHandshakeTimeout: 10 * time.Second,
			MaxResponseHeaderBytes: maxHeader, DisableKeepAlives: true,
		},
		CheckRedirect: checkRedirect,
	}, nil
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return errors.New("the registry redirects too often")
	case r.URL.Scheme != "https" && via[0].URL.Scheme == "https":
		return errDowngrade
	}
	return nil
}

// guard is a net.Dialer's Control: it sees the address itself.
func (l loginClient) guard(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errGuarded
	}
	a := ap.Addr().Unmap()
	if a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || l.forbidden != nil && l.forbidden(a) {
		return errGuarded
	}
	return nil
}
