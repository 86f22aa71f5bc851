package runtime

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// A client speaks with the supervisor.
type client struct {
	socket string
	http   *http.Client
}

func newClient(runDir string) *client {
	c := &client{socket: filepath.Join(runDir, iod.SocketName)}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}}
	return c
}

func (c *client) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", c.socket)
}

// refusal is an answer that is not a success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// call carries out one request; in and out may be nil. An error is a *refusal
// or one of the connection.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("cannot read supervisor's answer: %w", err)
	}
	return nil
}

func (c *client) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("cannot ask supervisor: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://iod"+path, body)
	if err != nil {
		return nil, fmt.Errorf("cannot ask supervisor: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask supervisor: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, readRefusal(resp)
	}
	return resp, nil
}

func readRefusal(resp *http.Response) error {
	var f iod.Failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&f); err != nil {
		f.Text = resp.Status
	}
	return &refusal{resp.StatusCode, f.Text}
}

// upgrade sends a request whose connection becomes a stream.
func (c *client) upgrade(ctx context.Context, path string) (*stream, http.Header, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot ask supervisor: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://iod"+path, nil)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("cannot ask supervisor: %w", err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	buf := bufio.NewReader(conn)
	resp, err := exchange(conn, buf, req)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("cannot ask supervisor: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer conn.Close()
		defer resp.Body.Close()
		return nil, nil, readRefusal(resp)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, nil, errors.New("cannot ask supervisor: not a unix socket")
	}
	return &stream{UnixConn: unixConn, early: buf}, resp.Header, nil
}

func exchange(conn net.Conn, buf *bufio.Reader, req *http.Request) (*http.Response, error) {
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(buf, req)
}

// A stream is an upgraded connection. What came with the answer is read first.
type stream struct {
	*net.UnixConn
	early *bufio.Reader // nil when it is used up
}

func (s *stream) Read(b []byte) (int, error) {
	if s.early != nil {
		if s.early.Buffered() > 0 {
			return s.early.Read(b[:min(len(b), s.early.Buffered())])
		}
		s.early = nil
	}
	return s.UnixConn.Read(b)
}

// WriteTo lets io.Copy use the kernel's splice once the answer is used up.
func (s *stream) WriteTo(w io.Writer) (int64, error) {
	var n int64
	if s.early != nil {
		b, _ := s.early.Peek(s.early.Buffered())
		s.early = nil
		m, err := w.Write(b)
		if n = int64(m); err != nil {
			return n, err
		}
	}
	m, err := io.Copy(w, s.UnixConn)
	return n + m, err
}

// failure gives an error of the supervisor a kind. doing completes "cannot …".
func failure(err error, doing string) error {
	var r *refusal
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &r):
		return model.WrapError(model.KindUnavailable, err, "cannot %s: the node's supervisor does not answer; try again", doing)
	case r.status == http.StatusNotFound:
		return model.WrapError(model.KindNotFound, err, "cannot %s: the node does not know it", doing)
	case r.status == http.StatusConflict:
		return model.WrapError(model.KindConflict, err, "cannot %s: its state forbids it", doing)
	case r.status == http.StatusBadRequest:
		return model.WrapError(model.KindInvalid, err, "cannot %s: invalid request", doing)
	}
	return model.WrapError(model.KindInternal, err, "cannot %s", doing)
}
