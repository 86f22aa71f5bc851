package dockerapi

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// login checks the user's credentials at a registry.
func (s *server) login(c *call) error {
	var r registry.AuthConfig
	if _, err := c.decode(&r); err != nil {
		return err
	}
	token, err := s.Registries.Login(c.ctx(), c.account, r.ServerAddress, registryAuth(&r))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, registry.AuthResponse{Status: "Login Succeeded", IdentityToken: cmp.Or(token, r.IdentityToken)})
}

// registryAuth reads credentials in both of their forms: name and password
// apart, or together in base64.
func registryAuth(r *registry.AuthConfig) wire.RegistryAuth {
	auth := wire.RegistryAuth{
		Username: r.Username, Password: r.Password, IdentityToken: r.IdentityToken, RegistryToken: r.RegistryToken,
	}
	if together, err := base64.StdEncoding.DecodeString(r.Auth); err == nil && auth.Username == "" {
		auth.Username, auth.Password, _ = strings.Cut(string(together), ":")
	}
	return auth
}

// registryAuth reads the credentials that came with the request. What is wrong
// with them is told without them.
func (c *call) registryAuth() (wire.RegistryAuth, error) {
	header := c.r.Header.Get(registry.AuthHeader)
	if header == "" {
		return wire.RegistryAuth{}, nil
	}
	auth, err := authconfig.Decode(header)
	if err != nil {
		return wire.RegistryAuth{}, model.Errorf(model.KindInvalid, "invalid %s header: it is not base64url of JSON", registry.AuthHeader)
	}
	return registryAuth(auth), nil
}
