package registry

import (
	"context"
	"net/http"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// Credentials are how a user is known to one registry. They live as long as
// the Client that was made with them.
type Credentials struct {
	Username      string
	Password      string
	IdentityToken string // an OAuth2 refresh token; instead of name and password
	RegistryToken string // a bearer token, sent as it is
}

// authorizer answers a registry's challenges. tokens asks token servers.
func (c Credentials) authorizer(registry string, tokens *http.Client) docker.Authorizer {
	if c.RegistryToken != "" {
		return bearer{registry: registry, token: c.RegistryToken}
	}
	return closing{docker.NewDockerAuthorizer(docker.WithAuthClient(tokens), docker.WithAuthCreds(c.lookup(registry)))}
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

// bearer sends a token that the user brought to the registry, and to no other
// host.
type bearer struct{ registry, token string }

// Authorize implements docker.Authorizer.
func (b bearer) Authorize(_ context.Context, r *http.Request) error {
	if r.URL.Host == b.registry {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return nil
}

// AddResponses implements docker.Authorizer: there is no other token to try.
func (bearer) AddResponses(context.Context, []*http.Response) error {
	return docker.ErrInvalidAuthorization
}

// closing closes the body of a request that is not made for lack of
// credentials: the writer at its other end would wait for ever.
type closing struct{ docker.Authorizer }

// Authorize implements docker.Authorizer.
func (c closing) Authorize(ctx context.Context, r *http.Request) error {
	err := c.Authorizer.Authorize(ctx, r)
	if err != nil && r.Body != nil {
		r.Body.Close()
	}
	return err
}
