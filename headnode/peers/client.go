package peers

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/agree"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/internal/requestid"
	"github.com/spearheadcloud/spearhead/model"
)

const (
	dialTimeout      = 2 * time.Second
	handshakeTimeout = 3 * time.Second
	keepConnections  = 128 // idle ones, to each head
	idleTimeout      = 90 * time.Second
)

// Client asks other heads. Its methods may be called by any number of
// goroutines; connections are kept and shared. A head that cannot be reached,
// or goes away in the middle, is an error that wraps ErrAgain. The end of the
// caller's own context is told as it is.
type Client struct {
	tls     func(id string) *tls.Config
	address func(id string) string

	mu    sync.Mutex
	heads map[string]*remote // by id
}

// remote is the connections to one head.
type remote struct {
	address string
	http    *http.Client
}

// NewClient returns a client. tls is the configuration that accepts only the
// head with that id, or any head for "" (pki.Identity.ClientTLS); address
// tells where a head's requests reach it, "" if it is not known.
func NewClient(tls func(id string) *tls.Config, address func(id string) string) *Client {
	return &Client{tls: tls, address: address, heads: map[string]*remote{}}
}

// Close drops connections that are idle.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, r := range c.heads {
		r.http.CloseIdleConnections()
		delete(c.heads, id)
	}
}

// to returns the connections to a head at the address that it has now.
func (c *Client) to(id string) (*remote, error) {
	address := c.address(id)
	if address == "" {
		return nil, model.WrapError(model.KindUnavailable, ErrAgain, "the address of the leading head is not known yet; try again")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.heads[id]
	if r != nil && r.address == address {
		return r, nil
	}
	if r != nil {
		r.http.CloseIdleConnections()
	}
	r = &remote{address: address, http: connections(c.tls(id))}
	c.heads[id] = r
	return r, nil
}

func connections(conf *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 5 * time.Second}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: conf, TLSHandshakeTimeout: handshakeTimeout,
			MaxIdleConnsPerHost: keepConnections, IdleConnTimeout: idleTimeout, DisableCompression: true,
		},
	}
}

// Propose hands an encoded command to a head, which must lead.
func (c *Client) Propose(ctx context.Context, head string, encoded []byte) (done Proposed, err error) {
	err = c.call(ctx, head, http.MethodPost, pathPropose, encoded, &done)
	return done, err
}

// ReadIndex asks the leading head how far the log has come.
func (c *Client) ReadIndex(ctx context.Context, head string) (uint64, error) {
	var out readIndex
	err := c.call(ctx, head, http.MethodGet, pathReadIndex, nil, &out)
	return out.Index, err
}

// Reserve has the leading head decide on a reservation.
func (c *Client) Reserve(ctx context.Context, head string, in containers.Intent) (made Reserved, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return made, err
	}
	err = c.call(ctx, head, http.MethodPost, pathReserve, body, &made)
	return made, err
}

// Working asks a head what it has under way.
func (c *Client) Working(ctx context.Context, head string) ([]string, error) {
	var out working
	err := c.call(ctx, head, http.MethodGet, pathWorking, nil, &out)
	return out.IDs, err
}

// Findings asks the leading head what reconciliation has found, by node.
func (c *Client) Findings(ctx context.Context, head string) (all map[string]reconcile.Findings, err error) {
	err = c.call(ctx, head, http.MethodGet, pathFindings, nil, &all)
	return all, err
}

// CancelBuild has a head end a build; KindNotFound if it has no such build.
func (c *Client) CancelBuild(ctx context.Context, head, accountID, id string) error {
	in, err := json.Marshal(cancelBuild{accountID, id})
	if err != nil {
		return err
	}
	return c.call(ctx, head, http.MethodPost, pathBuilds, in, &none{})
}

// StateHash implements agree.Heads.
func (c *Client) StateHash(ctx context.Context, head string, index uint64) (a agree.Answer, err error) {
	err = c.call(ctx, head, http.MethodGet, pathHash+"?index="+strconv.FormatUint(index, 10), nil, &a)
	return a, err
}

// Register tells the leading head of h.
func (c *Client) Register(ctx context.Context, head string, h model.Head) error {
	r, err := c.to(head)
	if err != nil {
		return err
	}
	return register(ctx, r, h, "")
}

// RegisterAt tells whatever head is at an address of h, which hands it on to
// the one that leads: for a head that does not know the others yet.
func (c *Client) RegisterAt(ctx context.Context, address string, h model.Head) error {
	r := &remote{address: address, http: connections(c.tls(""))}
	defer r.http.CloseIdleConnections()
	return register(ctx, r, h, "?"+forward)
}

func register(ctx context.Context, r *remote, h model.Head, query string) error {
	path, err := headPath(h.ID)
	if err != nil {
		return model.WrapError(model.KindInvalid, err, "cannot register head")
	}
	in, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return r.call(ctx, http.MethodPut, path+query, in, &none{})
}

// Unregister has the leading head take another one out.
func (c *Client) Unregister(ctx context.Context, head, id string) error {
	path, err := headPath(id)
	if err != nil {
		return model.WrapError(model.KindInvalid, err, "cannot remove head")
	}
	return c.call(ctx, head, http.MethodDelete, path, nil, &none{})
}

// HoldImages lets nothing begin on a head that brings an image to a node,
// until release, or until the connection breaks; see Work.
func (c *Client) HoldImages(ctx context.Context, head string) (arriving []string, release func(), err error) {
	r, err := c.to(head)
	if err != nil {
		return nil, nil, err
	}
	held, release, err := r.hold(ctx)
	return held.Arriving, release, err
}

// hold ends with ctx until the head has answered, and then with release alone.
func (r *remote) hold(ctx context.Context) (out held, release func(), err error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	asked := context.AfterFunc(ctx, end)
	resp, err := r.send(life, http.MethodPost, pathHold, nil)
	if err != nil {
		end()
		return out, nil, err
	}
	release = func() {
		end()
		resp.Body.Close()
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxMessage)).Decode(&out)
	if err != nil || !asked() {
		release()
		return out, nil, broken(ctx, err)
	}
	return out, release, nil
}

func (c *Client) call(ctx context.Context, head, method, path string, in []byte, out any) error {
	r, err := c.to(head)
	if err != nil {
		return err
	}
	return r.call(ctx, method, path, in, out)
}

func (r *remote) call(ctx context.Context, method, path string, in []byte, out any) error {
	resp, err := r.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return broken(ctx, err)
	}
	return decode(bytes.NewReader(body), maxMessage, out)
}

// send makes one request and returns its answer if it is a success.
func (r *remote) send(ctx context.Context, method, path string, in []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+r.address+path, bytes.NewReader(in))
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "cannot make the request to another head")
	}
	requestid.Send(ctx, req.Header)
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, broken(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := decode(resp.Body, maxMessage, &f); err != nil || f.Text == "" {
		return nil, broken(ctx, errors.New(resp.Status))
	}
	return nil, f.err()
}

// broken is an error of the connection: nobody knows what became of the
// request.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return model.WrapError(model.KindUnavailable, failed{err}, "another head cannot be reached; try again")
}

// failed joins ErrAgain to its cause.
type failed struct{ cause error }

func (f failed) Error() string {
	return ErrAgain.Error() + ": " + f.cause.Error()
}

func (f failed) Unwrap() []error { return []error{ErrAgain, f.cause} }
