package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/log"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
)

// Access is what a client wants to do.
type Access int

// The kinds of access.
const (
	Pull Access = iota
	Push
)

// Client speaks of one reference with its registry. It may be used by several
// goroutines.
type Client struct {
	ref       reference.Named
	access    Access
	endpoints []endpoint // the registry itself is the last
	tracker   docker.StatusTracker
	resolver  remotes.Resolver
	logger    *log.Entry
}

// NewClient makes a client for ref's registry. Nothing is sent yet.
func (p *Policy) NewClient(ref reference.Named, credentials Credentials, access Access) (*Client, error) {
	name := reference.Domain(ref)
	address, _ := docker.DefaultHost(name) // never fails
	c := &Client{ref: ref, access: access, tracker: docker.NewInMemoryTracker(), logger: silence()}
	timeout := responseTimeout
	if access == Push {
		timeout = uploadTimeout
	} else {
		mirrors, err := p.mirrorHosts(name)
		if err != nil {
			return nil, err
		}
		c.endpoints = mirrors
	}
	own, err := p.endpoint(name, address, credentials, timeout)
	if err != nil {
		return nil, err
	}
	c.endpoints = append(c.endpoints, own)
	hosts := make([]docker.RegistryHost, len(c.endpoints))
	for i, e := range c.endpoints {
		hosts[i] = e.host
	}
	c.resolver = docker.NewResolver(docker.ResolverOptions{
		Headers: http.Header{"User-Agent": {userAgent}},
		Hosts:   func(string) ([]docker.RegistryHost, error) { return hosts, nil },
		Tracker: c.tracker,
	})
	return c, nil
}

const userAgent = "spearhead"

// silence is a logger for the library: what goes wrong is in the errors.
func silence() *log.Entry {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	return logrus.NewEntry(quiet)
}

// Close drops idle connections.
func (c *Client) Close() {
	for _, e := range c.endpoints {
		e.transport.CloseIdleConnections()
	}
}

// Resolve asks the registry what the reference points to now.
func (c *Client) Resolve(ctx context.Context) (ocispec.Descriptor, error) {
	_, desc, err := c.resolver.Resolve(c.quiet(ctx), c.ref.String())
	if err != nil {
		return ocispec.Descriptor{}, c.Explain(err)
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
		return nil, c.Explain(err)
	}
	return r, nil
}

// Vouched reports that a registry vouches for nobody: what is asked of it, it
// has to give.
func (c *Client) Vouched() bool { return false }

// quiet keeps the library from logging by its own logger.
func (c *Client) quiet(ctx context.Context) context.Context {
	return log.WithLogger(ctx, c.logger)
}
