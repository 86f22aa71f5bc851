package images

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Docker Hub's old address, which its clients still send, and where its
// registry really is.
const (
	hubIndex    = "index.docker.io"
	hubRegistry = "registry-1.docker.io"
)

const (
	loginTimeout = 20 * time.Second
	maxAnswer    = 1 << 20
)

// loginClient checks credentials at registries that tenants name, so it takes
// care where it connects to: the rule is applied to the address after names
// are resolved, for each connection, redirects included.
type loginClient struct {
	trusted   model.InsecureRegistries
	forbidden func(netip.Addr) bool
	guarded   *http.Client // for any registry
	open      *http.Client // for those that the operator listed
}

func newLoginClient(trusted model.InsecureRegistries, forbidden func(netip.Addr) bool) loginClient {
	l := loginClient{trusted: trusted, forbidden: forbidden}
	l.guarded = loginHTTP(&net.Dialer{Timeout: 10 * time.Second, Control: l.guard})
	l.open = loginHTTP(&net.Dialer{Timeout: 10 * time.Second})
	return l
}

func loginHTTP(d *net.Dialer) *http.Client {
	return &http.Client{
		Timeout:   loginTimeout,
		Transport: &http.Transport{DialContext: d.DialContext, TLSHandshakeTimeout: 10 * time.Second, DisableKeepAlives: true},
	}
}

var errGuarded = errors.New("the address belongs to this machine or to the data center")

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

// check asks the registry for its version endpoint, as RFC 7235 clients do:
// first without credentials, then by the scheme that it challenges with.
func (l loginClient) check(ctx context.Context, server string, auth wire.RegistryAuth) error {
	host := registryHost(server)
	if host == "" {
		return model.Errorf(model.KindInvalid, "cannot log in: %q names no registry", server)
	}
	if auth.IdentityToken != "" || auth.RegistryToken != "" {
		return model.Errorf(model.KindNotImplemented, "login with a token is not supported; use a user name and a password")
	}
	client, base := l.guarded, "https://"+host+"/v2/"
	if l.trusted.Lists(host) {
		client, base = l.open, "http://"+host+"/v2/"
	}
	status, challenge, err := get(ctx, client, base, auth, false)
	if err != nil {
		return unreachable(host, err)
	}
	if status == http.StatusUnauthorized {
		if status, err = answer(ctx, client, base, challenge, auth); err != nil {
			return unreachable(host, err)
		}
	}
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return model.Errorf(model.KindUnauthenticated, "Get %q: unauthorized: incorrect username or password", "https://"+host+"/v2/")
	}
	return model.Errorf(model.KindUnavailable, "cannot log in to %s: the registry answered with status %d; try again later", host, status)
}

// answer meets a challenge: basic credentials, or a token that the realm gives
// for them (the registries' token protocol).
func answer(ctx context.Context, client *http.Client, base, challenge string, auth wire.RegistryAuth) (int, error) {
	scheme, rest, _ := strings.Cut(challenge, " ")
	if !strings.EqualFold(scheme, "bearer") {
		status, _, err := get(ctx, client, base, auth, true)
		return status, err
	}
	p := challengeParameters(rest)
	realm, err := url.Parse(p["realm"])
	if err != nil || realm.Host == "" || realm.Scheme != "https" && !strings.HasPrefix(base, "http://") {
		return 0, errors.New("the registry's challenge has no usable realm")
	}
	q := realm.Query()
	q.Set("account", auth.Username)
	if p["service"] != "" {
		q.Set("service", p["service"])
	}
	realm.RawQuery = q.Encode()
	status, _, err := get(ctx, client, realm.String(), auth, true)
	return status, err
}

// get makes one request and returns its status and challenge. A token in the
// body is not needed: that the realm gave one is the proof.
func get(ctx context.Context, client *http.Client, target string, auth wire.RegistryAuth, sendAuth bool) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, "", err
	}
	if sendAuth {
		req.SetBasicAuth(auth.Username, auth.Password)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return 0, "", err
	}
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate"), nil
}

var challengePart = regexp.MustCompile(`([a-zA-Z_]+)="([^"]*)"`)

func challengeParameters(s string) map[string]string {
	p := map[string]string{}
	for _, m := range challengePart.FindAllStringSubmatch(s, -1) {
		p[strings.ToLower(m[1])] = m[2]
	}
	return p
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

func unreachable(host string, err error) error {
	if errors.Is(err, errGuarded) {
		return model.Errorf(model.KindForbidden, "cannot log in to %s: it is at an address that accounts may not use; ask the operator to list the registry", host)
	}
	return model.WrapError(model.KindUnavailable, err, "cannot log in to %s: the registry cannot be reached or is not trusted; check its name and certificate", host)
}
