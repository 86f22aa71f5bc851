package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/model"
)

var (
	errRedirects = errors.New("too many redirects")
	errDowngrade = errors.New("redirect from TLS to plain HTTP")
)

// Explain gives an error of the registry its kind, and a text in Docker's
// words where Docker has some. Errors that have a kind, and the end of a
// context, pass as they are.
func (c *Client) Explain(err error) error { return c.explain(err) }

func (c *Client) explain(err error) error {
	var typed *model.Error
	if err == nil || errors.As(err, &typed) || errors.Is(err, context.Canceled) {
		return err
	}
	host := reference.Domain(c.ref)
	var (
		status      remoteerrors.ErrUnexpectedStatus
		guarded     errGuarded
		certificate *tls.CertificateVerificationError
		network     net.Error
	)
	switch {
	case errors.As(err, &guarded):
		return model.WrapError(model.KindForbidden, err, "registry %s leads to an address that is not open to registries; an operator can list it as an insecure registry", host)
	case errors.Is(err, errRedirects):
		return model.WrapError(model.KindUnavailable, err, "registry %s redirects without end", host)
	case errors.Is(err, errDowngrade):
		return model.WrapError(model.KindUnavailable, err, "registry %s redirects from TLS to plain HTTP", host)
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return c.denied(err)
	case errors.As(err, &status):
		return c.byStatus(status.StatusCode, err)
	case errdefs.IsNotFound(err):
		return c.missing(err)
	case errors.As(err, &certificate):
		return model.WrapError(model.KindUnavailable, err, "the certificate of registry %s is not trusted; an operator can list it as an insecure registry", host)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return model.WrapError(model.KindUnavailable, err, "registry %s speaks plain HTTP; an operator can list it as an insecure registry", host)
	case errors.As(err, &network):
		return model.WrapError(model.KindUnavailable, err, "registry %s cannot be reached; check its name and that it runs", host)
	}
	return model.WrapError(model.KindUnavailable, err, "registry %s does not answer as a registry does", host)
}

func (c *Client) byStatus(code int, err error) error {
	host := reference.Domain(c.ref)
	switch {
	case code == http.StatusNotFound:
		return c.missing(err)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return c.denied(err)
	case code == http.StatusTooManyRequests:
		return model.WrapError(model.KindUnavailable, err, "registry %s answers: too many requests; try again later", host)
	}
	return model.WrapError(model.KindUnavailable, err, "registry %s answers: %d %s", host, code, http.StatusText(code))
}

// missing and denied have the texts that Docker's clients know.
func (c *Client) missing(err error) error {
	return model.WrapError(model.KindNotFound, err, "manifest for %s not found: manifest unknown: manifest unknown", reference.FamiliarString(c.ref))
}

func (c *Client) denied(err error) error {
	return model.WrapError(model.KindNotFound, err, "pull access denied for %s, repository does not exist or may require 'docker login'", reference.FamiliarName(c.ref))
}
