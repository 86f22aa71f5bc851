package images

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/spearheadcloud/spearhead/wire"
)

// clientID is what the realm of a registry knows us as.
const clientID = "spearhead"

// login is one attempt. The protocol is that of the registries' tokens
// (distribution.github.io, "Token Authentication" and "OAuth 2"): the registry
// is asked without credentials and challenges; they are for what it names.
type login struct {
	client   *http.Client
	base     string // of the registry: …/v2/
	auth     wire.RegistryAuth
	identity string // the token that the realm gave to keep
}

// try returns the last status that the registry, or its realm, answered with.
func (l *login) try(ctx context.Context) (int, error) {
	if token := l.auth.RegistryToken; token != "" {
		status, _, err := l.ping(ctx, bearer(token))
		return status, err
	}
	status, challenges, err := l.ping(ctx, func(*http.Request) {})
	if err != nil || status != http.StatusUnauthorized {
		return status, err
	}
	for _, challenge := range challenges {
		scheme, rest, _ := strings.Cut(challenge, " ")
		if strings.EqualFold(scheme, "bearer") {
			return l.byToken(ctx, challengeParameters(rest))
		}
	}
	if l.auth.Username == "" {
		return status, nil
	}
	status, _, err = l.ping(ctx, l.basic)
	return status, err
}

func (l *login) basic(r *http.Request) { r.SetBasicAuth(l.auth.Username, l.auth.Password) }

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// ping asks the registry for its version, as all its clients do first.
func (l *login) ping(ctx context.Context, authorize func(*http.Request)) (status int, challenges []string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot make a request: %w", err)
	}
	authorize(r)
	resp, err := l.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Values("WWW-Authenticate"), nil
}

// byToken gets a token from the realm and shows it to the registry.
func (l *login) byToken(ctx context.Context, challenge map[string]string) (int, error) {
	realm, err := url.Parse(challenge["realm"])
	if err != nil || realm.Host == "" || realm.Scheme != "https" && strings.HasPrefix(l.base, "https://") {
		return 0, errors.New("the registry's challenge has no usable realm")
	}
	r, err := l.tokenRequest(ctx, *realm, challenge["service"])
	if err != nil {
		return 0, fmt.Errorf("cannot make a request: %w", err)
	}
	resp, err := l.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil
	}
	var given struct {
		Token        string `json:"token"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	// The cause is not told: it may quote the answer.
	if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&given) != nil {
		return 0, errors.New("the registry's realm gives no token")
	}
	l.identity = given.RefreshToken
	status, _, err := l.ping(ctx, bearer(cmp.Or(given.Token, given.AccessToken)))
	return status, err
}

// tokenRequest asks for a token of no scope: by name and password, and for an
// identity token too; or by such a one.
func (l *login) tokenRequest(ctx context.Context, realm url.URL, service string) (*http.Request, error) {
	q := url.Values{"client_id": {clientID}}
	if service != "" {
		q.Set("service", service)
	}
	if l.auth.IdentityToken != "" {
		q.Set("grant_type", "refresh_token")
		q.Set("refresh_token", l.auth.IdentityToken)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(q.Encode()))
		if err == nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return r, err
	}
	q.Set("offline_token", "true")
	q.Set("account", l.auth.Username)
	for name, values := range realm.Query() {
		if !q.Has(name) {
			q[name] = values
		}
	}
	realm.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err == nil && l.auth.Username != "" {
		l.basic(r)
	}
	return r, err
}

var challengePart = regexp.MustCompile(`([a-zA-Z_]+)="([^"]*)"`)

func challengeParameters(s string) map[string]string {
	p := map[string]string{}
	for _, m := range challengePart.FindAllStringSubmatch(s, -1) {
		p[strings.ToLower(m[1])] = m[2]
	}
	return p
}
