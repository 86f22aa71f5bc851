package images

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	loginTimeout  = 20 * time.Second
	maxAnswer     = 1 << 20
	maxHeader     = 64 << 10
	loginRequests = 10 // of one redirected request
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

// guardedHTTP connects to what control lets it.
func guardedHTTP(control func(network, address string, c syscall.RawConn) error) *http.Client {
	return loginHTTP(&net.Dialer{Timeout: 10 * time.Second, Control: control}, &tls.Config{MinVersion: tls.VersionTLS12})
}

// openHTTP connects to any address and takes any certificate.
func openHTTP() *http.Client {
	return loginHTTP(&net.Dialer{Timeout: 10 * time.Second}, &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}) //nolint:gosec // the operator listed it
}

func loginHTTP(d *net.Dialer, security *tls.Config) *http.Client {
	return &http.Client{
		Timeout: loginTimeout,
		Transport: &http.Transport{
			DialContext: d.DialContext, TLSClientConfig: security, TLSHandshakeTimeout: 10 * time.Second,
			MaxResponseHeaderBytes: maxHeader, DisableKeepAlives: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case len(via) >= loginRequests:
				return errors.New("the registry redirects too often")
			case r.URL.Scheme != "https" && via[0].URL.Scheme == "https":
				return errDowngrade
			}
			return nil
		},
	}
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
