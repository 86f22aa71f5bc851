package registry

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

const (
	dialTimeout     = 15 * time.Second
	tlsTimeout      = 10 * time.Second
	responseTimeout = 30 * time.Second
	// A registry may look at all of a blob's bytes again before it answers.
	uploadTimeout  = 5 * time.Minute
	maxRedirects   = 10
	maxHeaderBytes = 64 << 10
	// maxAnswer bounds what is read of an answer that is neither content nor a
	// manifest.
	maxAnswer = 8 << 20
)

// connection says how a host is reached.
type connection struct {
	name        string // of the registry, as the user or the operator wrote it
	address     string // host or host:port to speak to; "" is name
	insecure    bool
	control     dialHook
	credentials Credentials
	timeout     time.Duration // for the head of an answer
}

// endpoint is a host that can be spoken to.
type endpoint struct {
	host      docker.RegistryHost
	transport *http.Transport
}

// endpoint makes the connection to a registry that a user named.
func (p *Policy) endpoint(name, address string, credentials Credentials, timeout time.Duration) (endpoint, error) {
	return p.connect(connection{
		name: name, address: address, insecure: p.insecure(name), control: p.control(name), credentials: credentials, timeout: timeout,
	})
}

func (p *Policy) connect(c connection) (endpoint, error) {
	if c.address == "" {
		c.address = c.name
	}
	config, err := p.tlsConfig(c.name, c.insecure)
	if err != nil {
		return endpoint{}, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, Control: c.control, Resolver: p.resolver}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  c.timeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
	var tripper http.RoundTripper = transport
	if c.insecure {
		tripper = docker.NewHTTPFallback(transport)
	} else {
		tripper = encrypted{transport}
	}
	client := &http.Client{Transport: tripper, CheckRedirect: checkRedirect}
	tokens := &http.Client{Transport: brief{tripper}, CheckRedirect: checkRedirect, Timeout: time.Minute}
	return endpoint{transport: transport, host: docker.RegistryHost{
		Client:       client,
		Authorizer:   c.credentials.authorizer(c.address, tokens),
		Host:         c.address,
		Scheme:       "https",
		Path:         "/v2",
		Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve | docker.HostCapabilityPush,
	}}, nil
}

var (
	errRedirects = errors.New("too many redirects")
	errDowngrade = errors.New("the registry leads from TLS to plain HTTP")
)

// checkRedirect follows redirects without the user's credentials: net/http
// would keep them for another port and for hosts below the registry's.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errRedirects
	}
	if r.URL.Host != via[0].URL.Host {
		r.Header.Del("Authorization")
	}
	return nil
}

// encrypted makes no request without TLS, whether a redirect, an upload's
// location or the address of a token server asks for it.
type encrypted struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (e encrypted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errDowngrade
	}
	return e.next.RoundTrip(r)
}

// brief bounds answers that are read into memory.
type brief struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b brief) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxAnswer), response.Body}
	return response, nil
}
