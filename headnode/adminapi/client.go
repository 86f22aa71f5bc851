package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/spearheadcloud/spearhead/internal/apicall"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// Client calls the head behind an operator's socket. It may be used by many
// goroutines at once.
type Client struct{ api *apicall.Client }

// NewClient returns a client of the head whose operator's socket is at path.
// It connects when it is first used.
func NewClient(path string) *Client {
	var d net.Dialer
	return &Client{&apicall.Client{
		Base: "http://head",
		HTTP: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", path)
			},
		}},
		Unreached: func(err error) error {
			return model.WrapError(model.KindUnavailable, err, "cannot reach the head on this machine; is it running, and are you root?")
		},
		Refused: refusal,
	}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.api.HTTP.CloseIdleConnections() }

// Ping succeeds when the head answers.
func (c *Client) Ping(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/v1/ping", nil, nil)
}

// Status tells how the head is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// CreateAccount creates an account; KindConflict if the login is taken.
func (c *Client) CreateAccount(ctx context.Context, login string, policy model.Policy) (model.Account, error) {
	return ask[model.Account](ctx, c, http.MethodPost, "/v1/accounts", createAccount{login, policy})
}

// Accounts lists all accounts with their keys.
func (c *Client) Accounts(ctx context.Context) ([]model.Account, error) {
	return ask[[]model.Account](ctx, c, http.MethodGet, "/v1/accounts", nil)
}

// RemoveAccount removes an account that owns nothing any more.
func (c *Client) RemoveAccount(ctx context.Context, login string) error {
	return c.call(ctx, http.MethodDelete, "/v1/accounts/"+url.PathEscape(login), nil, nil)
}

// AddKey adds an SSH public key, one line in authorized_keys form, to an
// account. An empty name takes the key's comment, or its fingerprint.
func (c *Client) AddKey(ctx context.Context, login, name, authorizedKey string) (model.Key, error) {
	return ask[model.Key](ctx, c, http.MethodPost, "/v1/accounts/"+url.PathEscape(login)+"/keys", addKey{name, authorizedKey})
}

// RemoveKey removes a key of an account, named by its name or by its SHA256 or
// MD5 fingerprint. The account's next request with it is refused.
func (c *Client) RemoveKey(ctx context.Context, login, key string) error {
	return c.call(ctx, http.MethodDelete, "/v1/accounts/"+url.PathEscape(login)+"/keys/"+url.PathEscape(key), nil, nil)
}

// Keys lists an account's keys.
func (c *Client) Keys(ctx context.Context, login string) ([]model.Key, error) {
	return ask[[]model.Key](ctx, c, http.MethodGet, "/v1/accounts/"+url.PathEscape(login)+"/keys", nil)
}

// PutNetwork creates a network, or replaces the one of that id. An empty id is
// that of the network with this name, or a new one.
func (c *Client) PutNetwork(ctx context.Context, n model.Network) (model.Network, error) {
	return ask[model.Network](ctx, c, http.MethodPut, "/v1/networks", n)
}

// Networks lists all networks.
func (c *Client) Networks(ctx context.Context) ([]model.Network, error) {
	return ask[[]model.Network](ctx, c, http.MethodGet, "/v1/networks", nil)
}

// EnrollNode signs a node's certificate and registers the node, approved. A
// node of the same name is enrolled again under its own id: its old
// certificate stays valid until it expires.
func (c *Client) EnrollNode(ctx context.Context, r EnrollRequest) (join.Answer, error) {
	return ask[join.Answer](ctx, c, http.MethodPost, "/v1/nodes", r)
}

// Nodes lists all nodes.
func (c *Client) Nodes(ctx context.Context) ([]NodeStatus, error) {
	return ask[[]NodeStatus](ctx, c, http.MethodGet, "/v1/nodes", nil)
}

func ask[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	return apicall.Ask[T](ctx, c.api, method, path, in)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.api.Call(ctx, method, path, in, out)
}

// send makes a request and returns its answer if it is a success.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	return c.api.Send(ctx, method, path, body)
}

// refusal is the error that a head answers with.
func refusal(status int, body *json.Decoder) error {
	var e errorBody
	if err := body.Decode(&e); err != nil {
		return fmt.Errorf("cannot read the head's answer (status %d): %w", status, err)
	}
	return &model.Error{Kind: e.Kind, Text: e.Text}
}
