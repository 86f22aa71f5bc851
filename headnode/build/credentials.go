package build

import (
	"context"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/spearheadcloud/spearhead/wire"
)

// credentials answers a builder that asks how the user is known to a registry.
// They are known as long as the build's session.
type credentials struct {
	auth.UnimplementedAuthServer
	auths map[string]wire.RegistryAuth
}

// Register implements session.Attachable.
func (c *credentials) Register(server *grpc.Server) { auth.RegisterAuthServer(server, c) }

// Credentials implements auth.AuthServer. A registry of which nothing is known
// is spoken to without.
func (c *credentials) Credentials(_ context.Context, r *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	known := c.auths[r.Host]
	if known.IdentityToken != "" {
		return &auth.CredentialsResponse{Secret: known.IdentityToken}, nil
	}
	return &auth.CredentialsResponse{Username: known.Username, Secret: known.Password}, nil
}

// GetTokenAuthority implements auth.AuthServer: the builder fetches tokens
// itself.
func (c *credentials) GetTokenAuthority(context.Context, *auth.GetTokenAuthorityRequest) (*auth.GetTokenAuthorityResponse, error) {
	return nil, status.Error(codes.Unavailable, "tokens are for the builder to fetch")
}
