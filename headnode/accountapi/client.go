package accountapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spearheadcloud/spearhead/internal/apicall"
	"github.com/spearheadcloud/spearhead/model"
)

// Client calls a head as an account. It may be used by many goroutines at once.
// Its errors are those of the head, as model.Error, or those of getting there.
type Client struct{ api *apicall.Client }

// NewClient returns a client of the head at a URL such as
// https://dc.example.org:2376, which trusts and proves what config says. It
// connects when it is first used.
func NewClient(at string, config *tls.Config) *Client {
	return &Client{&apicall.Client{
		Base:      strings.TrimSuffix(at, "/") + Prefix,
		HTTP:      &http.Client{Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment}},
		Unreached: func(err error) error { return err },
		Refused:   refusal,
	}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.api.HTTP.CloseIdleConnections() }

// Usage tells what the account may have, and what it has.
func (c *Client) Usage(ctx context.Context) (Usage, error) {
	return ask[Usage](ctx, c, http.MethodGet, "/usage", nil)
}

// Packages lists those that new containers of the account may have.
func (c *Client) Packages(ctx context.Context) ([]model.Package, error) {
	return ask[[]model.Package](ctx, c, http.MethodGet, "/packages", nil)
}

// Networks lists those that containers of the account may be on.
func (c *Client) Networks(ctx context.Context) ([]Network, error) {
	return ask[[]Network](ctx, c, http.MethodGet, "/networks", nil)
}

// Rules lists the account's firewall rules, the oldest first.
func (c *Client) Rules(ctx context.Context) ([]Rule, error) {
	return ask[[]Rule](ctx, c, http.MethodGet, "/rules", nil)
}

// CreateRule adds a firewall rule, unless there is one that says the same.
// KindInvalid says what of the text cannot be read.
func (c *Client) CreateRule(ctx context.Context, r NewRule) (Rule, error) {
	return ask[Rule](ctx, c, http.MethodPost, "/rules", r)
}

// Rule finds a rule, which is named by its id or the beginning of it.
func (c *Client) Rule(ctx context.Context, id string) (Rule, error) {
	return ask[Rule](ctx, c, http.MethodGet, "/rules/"+url.PathEscape(id), nil)
}

// ChangeRule changes a rule, which is named as with Rule.
func (c *Client) ChangeRule(ctx context.Context, id string, change model.RuleChange) error {
	return c.call(ctx, http.MethodPatch, "/rules/"+url.PathEscape(id), change, nil)
}

// RemoveRule removes a rule, which is named as with Rule.
func (c *Client) RemoveRule(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/rules/"+url.PathEscape(id), nil, nil)
}

// Volumes lists the account's volumes.
func (c *Client) Volumes(ctx context.Context) ([]Volume, error) {
	return ask[[]Volume](ctx, c, http.MethodGet, "/volumes", nil)
}

func volumePath(name, call string) string { return "/volumes/" + url.PathEscape(name) + call }

// Snapshots lists a volume's snapshots, the oldest first.
func (c *Client) Snapshots(ctx context.Context, name string) ([]model.VolumeSnapshot, error) {
	return ask[[]model.VolumeSnapshot](ctx, c, http.MethodGet, volumePath(name, "/snapshots"), nil)
}

// Snapshot takes a snapshot; KindConflict if there is one of its name.
func (c *Client) Snapshot(ctx context.Context, name, snapshot string) error {
	return c.call(ctx, http.MethodPost, volumePath(name, "/snapshots"), NewSnapshot{snapshot}, nil)
}

// RemoveSnapshot removes a snapshot.
func (c *Client) RemoveSnapshot(ctx context.Context, name, snapshot string) error {
	return c.call(ctx, http.MethodDelete, volumePath(name, "/snapshots/"+url.PathEscape(snapshot)), nil, nil)
}

// RestoreVolume makes a volume what it was at a snapshot.
func (c *Client) RestoreVolume(ctx context.Context, name, snapshot string) error {
	return c.call(ctx, http.MethodPost, volumePath(name, "/restore"), Restoring{snapshot}, nil)
}

// ResizeVolume changes how much a volume may hold, in bytes; 0 is without bound.
func (c *Client) ResizeVolume(ctx context.Context, name string, size int64) error {
	return c.call(ctx, http.MethodPost, volumePath(name, "/size"), Resizing{&size}, nil)
}

// RenameVolume gives a volume that no container mounts another name.
func (c *Client) RenameVolume(ctx context.Context, name, to string) error {
	return c.call(ctx, http.MethodPost, volumePath(name, "/name"), Renaming{to}, nil)
}

// CloneVolume makes a new volume of another.
func (c *Client) CloneVolume(ctx context.Context, name, snapshot, to string) error {
	return c.call(ctx, http.MethodPost, volumePath(name, "/clone"), Cloning{snapshot, to}, nil)
}

func ask[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	return apicall.Ask[T](ctx, c.api, method, path, in)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.api.Call(ctx, method, path, in, out)
}

// refusal is the error that a head answers with. One that is older than these
// calls speaks as Docker does, without a kind.
func refusal(status int, answer *json.Decoder) error {
	var f failure
	switch err := answer.Decode(&f); {
	case err != nil:
		return fmt.Errorf("the data center answers with status %d and no reason", status)
	case f.Kind == "" && status == http.StatusNotFound:
		return model.Errorf(model.KindNotImplemented, "the data center does not have this call; its heads may be older than this program")
	case f.Kind == "":
		return fmt.Errorf("the data center refuses: %s", f.Message)
	}
	return &model.Error{Kind: f.Kind, Text: f.Message}
}
