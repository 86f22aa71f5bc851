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

// Explain gives an error of the registry its kind, and a text in Docker's
// words where Docker has some. Errors that have a kind, and the end of a
// context, pass as they are.
func (c *Client) Explain(err error) error {
	return explanation{registry: reference.Domain(c.ref), missing: c.missing, denied: c.denied}.of(err)
}

// explanation says what errors of a registry mean.
type explanation struct {
	registry        string
	missing, denied func(error) error
}

func (e explanation) of(err error) error {
	var typed *model.Error
	if err == nil || errors.As(err, &typed) || errors.Is(err, context.Canceled) {
		return err
	}
	var status remoteerrors.ErrUnexpectedStatus
	switch {
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return e.denied(err)
	case errors.As(err, &status):
		return e.byStatus(status.StatusCode, err)
	case errdefs.IsNotFound(err):
		return e.missing(err)
	}
	return e.unreachable(err)
}

// unreachable explains that there was no answer.
func (e explanation) unreachable(err error) error {
	var (
		guarded     errGuarded
		certificate *tls.CertificateVerificationError
		network     net.Error
	)
	switch {
	case errors.As(err, &guarded):
		return model.WrapError(model.KindForbidden, err, "registry %s leads to an address that is not open to registries; an operator can list it as an insecure registry", e.registry)
	case errors.Is(err, errRedirects):
		return model.WrapError(model.KindUnavailable, err, "registry %s redirects without end", e.registry)
	case errors.Is(err, errDowngrade):
		return model.WrapError(model.KindUnavailable, err, "registry %s leads from TLS to plain HTTP; an operator can list it as an insecure registry", e.registry)
	case errors.As(err, &certificate):
		return model.WrapError(model.KindUnavailable, err, "the certificate of registry %s is not trusted; an operator can list it as an insecure registry, or give the nodes the certificate of its authority", e.registry)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return model.WrapError(model.KindUnavailable, err, "registry %s speaks plain HTTP; an operator can list it as an insecure registry", e.registry)
	case errors.As(err, &network):
		return model.WrapError(model.KindUnavailable, err, "registry %s cannot be reached; check its name and that it runs", e.registry)
	}
	return model.WrapError(model.KindUnavailable, err, "registry %s does not answer as a registry does", e.registry)
}

func (e explanation) byStatus(code int, err error) error {
	switch {
	case code == http.StatusNotFound:
		return e.missing(err)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return e.denied(err)
	case code == http.StatusTooManyRequests:
		return model.WrapError(model.KindUnavailable, err, "toomanyrequests: registry %s answers: too many requests; try again later", e.registry)
	}
	return model.WrapError(model.KindUnavailable, err, "registry %s answers: %d %s", e.registry, code, http.StatusText(code))
}

// missing and denied have the texts that Docker's clients know.
func (c *Client) missing(err error) error {
	if c.access == Push {
		return model.WrapError(model.KindNotFound, err, "registry %s takes no pushes to repository %s", reference.Domain(c.ref), reference.FamiliarName(c.ref))
	}
	return model.WrapError(model.KindNotFound, err, "manifest for %s not found: manifest unknown: manifest unknown", reference.FamiliarString(c.ref))
}

func (c *Client) denied(err error) error {
	var status remoteerrors.ErrUnexpectedStatus
	switch {
	case c.access == Pull:
		return model.WrapError(model.KindNotFound, err, "pull access denied for %s, repository does not exist or may require 'docker login'", reference.FamiliarName(c.ref))
	case strings.Contains(err.Error(), "no basic auth credentials"):
		return model.WrapError(model.KindForbidden, err, "no basic auth credentials")
	case errors.As(err, &status) && status.StatusCode == http.StatusUnauthorized:
		return model.WrapError(model.KindForbidden, err, "unauthorized: authentication required")
	}
	return model.WrapError(model.KindForbidden, err, "denied: requested access to the resource is denied")
}
