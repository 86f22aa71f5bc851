package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/internal/requestid"
	"github.com/spearheadcloud/spearhead/model"
)

// Client is an Agent that lives on another machine. Its methods may be called
// by many goroutines at once; connections are kept and shared. A node that
// cannot be reached, or that goes away in the middle of a call, is an error of
// model.KindUnavailable.
//
// The context of a call that returns a stream is the stream's: when it ends,
// the connection is closed and the agent stops the work behind it. Calls that
// change a container are carried to their end by the agent also when the
// caller goes away, so that none is left half done.
type Client struct {
	base    string
	http    *http.Client
	waiting waiting
}

var _ Agent = (*Client)(nil)

// NewClient returns a client of the agent at baseURL ("https://host:port").
// tlsConfig holds the caller's certificate and decides which peer it accepts;
// it may be nil only for an http URL. Nothing is dialled before the first call.
func NewClient(baseURL string, tlsConfig *tls.Config) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	if tlsConfig != nil {
		tlsConfig = tlsConfig.Clone()
		// Upgraded connections need HTTP/1.1, and big records make streams fast.
		tlsConfig.NextProtos = []string{"http/1.1"}
		tlsConfig.DynamicRecordSizingDisabled = true
		if tlsConfig.ClientSessionCache == nil {
			tlsConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		}
	}
	return &Client{
		base: strings.TrimSuffix(baseURL, "/") + pathPrefix,
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext: dialer.DialContext,
				DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					return cork.Dial(ctx, dialer, tlsConfig, 5*time.Second, network, address)
				},
				MaxIdleConns:        64,
				MaxIdleConnsPerHost: 64,
				IdleConnTimeout:     90 * time.Second,
				DisableCompression:  true,
				WriteBufferSize:     streamBuffer,
				ReadBufferSize:      streamBuffer,
			},
		},
	}
}

// Close drops connections that are idle. Streams in use go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Abandon ends every call that waits for its answer, with
// model.KindUnavailable: for a caller that knows the node to be out of reach.
// Streams that are open go on, for as long as their connection lasts.
func (c *Client) Abandon() {
	c.waiting.abandon()
	c.http.CloseIdleConnections()
}

// Info implements Agent.
func (c *Client) Info(ctx context.Context) (info model.NodeInfo, err error) {
	err = c.call(ctx, http.MethodGet, "/info", nil, &info)
	return info, err
}

// Containers implements Agent.
func (c *Client) Containers(ctx context.Context) (all []ContainerRecord, err error) {
	err = c.call(ctx, http.MethodGet, "/containers", nil, &all)
	return all, err
}

// Create implements Agent.
func (c *Client) Create(ctx context.Context, r CreateRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPut, containerPath(r.Container.ID, ""), r, &ack)
	return ack, err
}

// Start implements Agent.
func (c *Client) Start(ctx context.Context, id string) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/start"), nil, &ack)
	return ack, err
}

// Stop implements Agent.
func (c *Client) Stop(ctx context.Context, id string, r StopRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/stop"), r, &ack)
	return ack, err
}

// Restart implements Agent.
func (c *Client) Restart(ctx context.Context, id string, r StopRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/restart"), r, &ack)
	return ack, err
}

// Kill implements Agent.
func (c *Client) Kill(ctx context.Context, id string, r KillRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/kill"), r, &ack)
	return ack, err
}

// Pause implements Agent.
func (c *Client) Pause(ctx context.Context, id string) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/pause"), nil, &ack)
	return ack, err
}

// Unpause implements Agent.
func (c *Client) Unpause(ctx context.Context, id string) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/unpause"), nil, &ack)
	return ack, err
}

// Update implements Agent.
func (c *Client) Update(ctx context.Context, id string, r model.ContainerUpdate) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/update"), r, &ack)
	return ack, err
}

// Stats implements Agent.
func (c *Client) Stats(ctx context.Context, id string) (s model.Stats, err error) {
	err = c.call(ctx, http.MethodGet, containerPath(id, "/stats"), nil, &s)
	return s, err
}

// Health implements Agent.
func (c *Client) Health(ctx context.Context, id string) (h model.Health, err error) {
	err = c.call(ctx, http.MethodGet, containerPath(id, "/health"), nil, &h)
	return h, err
}

// Sizes implements Agent.
func (c *Client) Sizes(ctx context.Context, ids []string) (sizes map[string]model.ContainerSize, err error) {
	err = c.call(ctx, http.MethodPost, "/sizes", ids, &sizes)
	return sizes, err
}

// Remove implements Agent.
func (c *Client) Remove(ctx context.Context, id string, r RemoveRequest) (ack Ack, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/remove"), r, &ack)
	return ack, err
}

// Resize implements Agent.
func (c *Client) Resize(ctx context.Context, id string, size TerminalSize) error {
	return c.call(ctx, http.MethodPost, containerPath(id, "/resize"), size, nil)
}

// Top implements Agent.
func (c *Client) Top(ctx context.Context, id string, psArgs string) (table Processes, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/top"), psArgs, &table)
	return table, err
}

// ExecCreate implements Agent.
func (c *Client) ExecCreate(ctx context.Context, container string, r ExecSpec) error {
	return c.call(ctx, http.MethodPost, containerPath(container, "/execs"), r, nil)
}

// ExecResize implements Agent.
func (c *Client) ExecResize(ctx context.Context, exec string, size TerminalSize) error {
	return c.call(ctx, http.MethodPost, execPath(exec, "/resize"), size, nil)
}

// ExecInspect implements Agent.
func (c *Client) ExecInspect(ctx context.Context, exec string) (state ExecState, err error) {
	err = c.call(ctx, http.MethodGet, execPath(exec, ""), nil, &state)
	return state, err
}

// Images implements Agent.
func (c *Client) Images(ctx context.Context) (ids []string, err error) {
	err = c.call(ctx, http.MethodGet, "/images", nil, &ids)
	return ids, err
}

// RemoveImage implements Agent.
func (c *Client) RemoveImage(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/images/"+url.PathEscape(id), nil, nil)
}

func containerPath(id, call string) string { return "/containers/" + url.PathEscape(id) + call }

func execPath(id, call string) string { return "/execs/" + url.PathEscape(id) + call }

// call makes one request, with in as its body unless it is nil, and decodes
// the answer into out unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.send(ctx, method, path, in, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxRequest))
	} else {
		err = decodeBody(resp.Body, maxResponse, out)
	}
	if err != nil {
		return broken(ctx, err)
	}
	return nil
}

// send makes one request and returns its answer if it is a success: 101 where
// an upgrade was asked for, else 200 or 204.
func (c *Client) send(ctx context.Context, method, path string, in any, upgrade string) (*http.Response, error) {
	if in == nil {
		return c.sendBody(ctx, method, path, nil, "", upgrade)
	}
	encoded, err := json.Marshal(in)
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "cannot encode the request")
	}
	return c.sendBody(ctx, method, path, bytes.NewReader(encoded), contentJSON, upgrade)
}

// upload is send for a stream.
func (c *Client) upload(ctx context.Context, path string, in io.Reader) (*http.Response, error) {
	return c.sendBody(ctx, http.MethodPost, path, upload{in}, contentRaw, "")
}

// sendBody is send for a body that is encoded, or nil.
func (c *Client) sendBody(ctx context.Context, method, path string, in io.Reader, content, upgrade string) (resp *http.Response, err error) {
	ctx, end := c.waiting.enter(ctx)
	defer func() {
		c.waiting.leave(end)
		switch {
		case err != nil:
			(*end)(nil)
		case resp.StatusCode != http.StatusSwitchingProtocols: // else the stream's caller ends it
			resp.Body = &body{resp.Body, ctx, resp, end}
		}
	}()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, in)
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "cannot make the request")
	}
	if in != nil {
		req.Header.Set("Content-Type", content)
	}
	requestid.Send(ctx, req.Header)
	if upgrade != "" {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", upgrade)
	}
	resp, err = c.http.Do(req)
	if err != nil {
		return nil, broken(ctx, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusSwitchingProtocols:
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(ctx, resp)
}

// readError decodes the error that a response carries.
func readError(ctx context.Context, resp *http.Response) error {
	var b ErrorBody
	if err := decodeBody(resp.Body, maxRequest, &b); err != nil || b.Text == "" {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed { // of its router: no call of ours is answered so
			return model.WrapError(model.KindNotImplemented, errors.New(resp.Status), "the node runs an older release of spearhead, which cannot do that; upgrade the node")
		}
		return model.WrapError(model.KindUnavailable, errors.New(resp.Status), "the node answered in a way that this version does not understand; are both of the same release?")
	}
	return b.Err()
}

// broken gives its kind to an error of the connection. The end of the
// caller's own context is told as it is.
func broken(ctx context.Context, err error) error {
	if context.Cause(ctx) == errAbandoned {
		return errAbandoned
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return model.WrapError(model.KindUnavailable, err, "the node that holds this cannot be reached; try again when it is back")
}
