package registry

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/log"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
)

// Credentials are how a user is known to one registry. They live as long as
// the Client that was made with them.
type Credentials struct {
	Username      string
	Password      string
	IdentityToken string // an OAuth2 refresh token; instead of name and password
	RegistryToken string // a bearer token, sent as it is
}

// Client fetches one reference from its registry. It may be used by several
// goroutines.
type Client struct {
	ref       reference.Named
	resolver  remotes.Resolver
	transport *http.Transport
	logger    *log.Entry
}

const (
	dialTimeout     = 15 * time.Second
	tlsTimeout      = 10 * time.Second
	responseTimeout = 30 * time.Second
	maxRedirects    = 10
	maxHeaderBytes  = 64 << 10
)

// NewClient makes a client for ref's registry.
func (p *Policy) NewClient(ref reference.Named, credentials Credentials) *Client {
	name := reference.Domain(ref)
	address, _ := docker.DefaultHost(name) // never fails
	insecure := p.insecure(name)
	dialer := &net.Dialer{Timeout: dialTimeout, Control: p.control(name)}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}, //nolint:gosec // the operator listed it
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  responseTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
	var tripper http.RoundTripper = transport
	if insecure {
		tripper = docker.NewHTTPFallback(transport)
	}
	client := &http.Client{Transport: tripper, CheckRedirect: checkRedirect(insecure)}
	host := docker.RegistryHost{
		Client:       client,
		Host:         address,
		Scheme:       "https",
		Path:         "/v2",
		Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve,
	}
	if credentials.RegistryToken != "" {
		host.Header = http.Header{"Authorization": {"Bearer " + credentials.RegistryToken}}
	} else {
		host.Authorizer = docker.NewDockerAuthorizer(docker.WithAuthClient(client), docker.WithAuthCreds(credentials.lookup(address)))
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	return &Client{
		ref:       ref,
		transport: transport,
		logger:    logrus.NewEntry(quiet),
		resolver: docker.NewResolver(docker.ResolverOptions{
			Headers: http.Header{"User-Agent": {"spearhead"}},
			Hosts:   func(string) ([]docker.RegistryHost, error) { return []docker.RegistryHost{host}, nil },
		}),
	}
}

// lookup gives the credentials to the registry that the user named, and to no
// other host.
func (c Credentials) lookup(registry string) func(string) (string, string, error) {
	return func(host string) (string, string, error) {
		switch {
		case host != registry:
			return "", "", nil
		case c.IdentityToken != "":
			return "", c.IdentityToken, nil
		}
		return c.Username, c.Password, nil
	}
}

func checkRedirect(insecure bool) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return errRedirects
		}
		if r.URL.Scheme != "https" && !insecure {
			return errDowngrade
		}
		return nil
	}
}

// Close drops idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Resolve asks the registry what the reference points to now.
func (c *Client) Resolve(ctx context.Context) (ocispec.Descriptor, error) {
	_, desc, err := c.resolver.Resolve(c.quiet(ctx), c.ref.String())
	if err != nil {
		return ocispec.Descriptor{}, c.explain(err)
	}
	return desc, nil
}

// Fetch opens a blob or manifest. The reader can be rewound and continues
// after a broken connection by itself. Errors of reading need Explain.
func (c *Client) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	fetcher, err := c.resolver.Fetcher(c.quiet(ctx), c.ref.String())
	if err != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", desc.Digest, err)
	}
	// Other places that a manifest names for a blob are not asked: they are
	// not the registry that the user named.
	desc.URLs = nil
	r, err := fetcher.Fetch(c.quiet(ctx), desc)
	if err != nil {
		return nil, c.explain(err)
	}
	return r, nil
}

// quiet keeps the library from logging by its own logger: what goes wrong is
// in the errors.
func (c *Client) quiet(ctx context.Context) context.Context {
	return log.WithLogger(ctx, c.logger)
}
