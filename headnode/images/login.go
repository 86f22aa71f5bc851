package images

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Docker Hub's old address, which its clients still send, and where its
// registry really is.
const (
	hubIndex    = "index.docker.io"
	hubRegistry = "registry-1.docker.io"
)

// loginClient checks credentials at registries that tenants name, so it takes
// care where it connects to: the rule is applied to the address after names
// are resolved, for each connection, redirects included.
type loginClient struct {
	insecure  model.InsecureRegistries
	certsDir  string
	forbidden func(netip.Addr) bool
}

// check logs in, and returns the identity token if the registry gave one. A
// listed registry that does not speak TLS is asked by plain HTTP.
func (l loginClient) check(ctx context.Context, server string, auth wire.RegistryAuth) (identityToken string, err error) {
	host := registryHost(server)
	if host == "" {
		return "", model.Errorf(model.KindInvalid, "cannot log in: %q names no registry", server)
	}
	insecure := l.insecure.Lists(host)
	client, err := l.client(host, insecure)
	if err != nil {
		return "", model.WrapError(model.KindUnavailable, err, "cannot log in to %s: the head's certificates for it cannot be used; an operator can mend them", host)
	}
	in := &login{client: client, base: "https://" + host + "/v2/", auth: auth}
	status, err := in.try(ctx)
	if insecure && speaksNoTLS(err) {
		in.base = "http://" + host + "/v2/"
		status, err = in.try(ctx)
	}
	switch {
	case errors.Is(err, errGuarded):
		return "", model.Errorf(model.KindForbidden, "cannot log in to %s: it is at an address that accounts may not use; ask the operator to list the registry", host)
	case err != nil:
		return "", model.WrapError(model.KindUnavailable, err, "cannot log in to %s: the registry cannot be reached or is not trusted; check its name and certificate", host)
	case status == http.StatusOK:
		return in.identity, nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "", model.Errorf(model.KindUnauthenticated, "Get %q: unauthorized: incorrect username or password", "https://"+host+"/v2/")
	}
	return "", model.Errorf(model.KindUnavailable, "cannot log in to %s: the registry answered with status %d; try again later", host, status)
}

// registryHost takes what docker login sends: "", a host, or a URL.
func registryHost(server string) string {
	server = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	host, _, _ := strings.Cut(server, "/")
	switch host {
	case "", hubIndex, "docker.io":
		return hubRegistry
	}
	if strings.ContainsAny(host, " @?#%\\") {
		return ""
	}
	return host
}
