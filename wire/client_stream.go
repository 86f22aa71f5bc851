package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/model"
)

// Attach implements Agent.
func (c *Client) Attach(ctx context.Context, id string, r AttachRequest) (Stream, error) {
	return c.upgrade(ctx, containerPath(id, "/attach"), r)
}

// ExecStart implements Agent.
func (c *Client) ExecStart(ctx context.Context, exec string, r ExecStartRequest) (Stream, error) {
	if r.Detach {
		return nil, c.call(ctx, http.MethodPost, execPath(exec, "/start"), r, nil)
	}
	return c.upgrade(ctx, execPath(exec, "/start"), r)
}

// Logs implements Agent.
func (c *Client) Logs(ctx context.Context, id string, r LogsRequest) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodPost, containerPath(id, "/logs"), r, "")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// PullImage implements Agent.
func (c *Client) PullImage(ctx context.Context, r PullRequest) (PullStream, error) {
	lines, err := c.lines(ctx, "/images/pull", r)
	if err != nil {
		return nil, err
	}
	return &messageStream[PullMessage]{lines}, nil
}

// Journal implements Agent.
func (c *Client) Journal(ctx context.Context, after Ack) (JournalStream, error) {
	lines, err := c.lines(ctx, "/journal", after)
	if err != nil {
		return nil, err
	}
	var first journalLine
	if err := lines.next(&first); err != nil {
		lines.Close()
		return nil, err
	}
	if first.Epoch == "" {
		lines.Close()
		return nil, model.Errorf(model.KindUnavailable, "the node's journal does not say which one it is")
	}
	return &journalStream{lineStream: lines, epoch: first.Epoch}, nil
}

// upgrade turns a request into a stream of bytes in both directions.
func (c *Client) upgrade(ctx context.Context, path string, in any) (Stream, error) {
	below := cork.Below(nil)
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { below = cork.Below(got.Conn) }})
	resp, err := c.send(traced, http.MethodPost, path, in, upgradeName)
	if err != nil {
		return nil, err
	}
	conn, ok := resp.Body.(Stream)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		resp.Body.Close()
		return nil, model.Errorf(model.KindUnavailable, "the node did not open the stream that was asked for")
	}
	s := &clientStream{Stream: conn, in: cork.NewReader(conn, below)}
	s.unbind = context.AfterFunc(ctx, func() { conn.Close() })
	return s, nil
}

// clientStream is an upgraded connection that its context closes.
type clientStream struct {
	Stream
	in     *cork.Reader
	unbind func() bool
}

// Read implements io.Reader. It fills p with what is there.
func (s *clientStream) Read(p []byte) (int, error) { return s.in.Read(p) }

func (s *clientStream) Close() error {
	s.unbind()
	return s.Stream.Close()
}

// lineStream reads a response of JSON values, one a line, and takes a silence
// that is longer than lifeTimeout for the node's absence.
type lineStream struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	r      *bufio.Reader
	alarm  *time.Timer
	close  sync.Once
}

func (c *Client) lines(ctx context.Context, path string, in any) (*lineStream, error) {
	return c.follow(ctx, func(ctx context.Context) (*http.Response, error) {
		return c.send(ctx, http.MethodPost, path, in, "")
	})
}

// linesFor is lines for a body that is not encoded. While it is being sent the
// node may say nothing for long: what it reads is its sign of life.
func (c *Client) linesFor(ctx context.Context, path string, in io.Reader) (*lineStream, error) {
	return c.follow(ctx, func(ctx context.Context) (*http.Response, error) {
		return c.upload(ctx, path, in)
	})
}

func (c *Client) follow(ctx context.Context, ask func(context.Context) (*http.Response, error)) (*lineStream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	silent := model.Errorf(model.KindUnavailable, "the node fell silent; try again when it is back")
	alarm := time.AfterFunc(lifeTimeout, func() { cancel(silent) })
	resp, err := ask(ctx)
	if err != nil {
		alarm.Stop()
		if context.Cause(ctx) == silent {
			err = silent
		}
		cancel(nil)
		return nil, err
	}
	return &lineStream{ctx: ctx, cancel: cancel, body: resp.Body, r: bufio.NewReaderSize(resp.Body, streamBuffer), alarm: alarm}, nil
}

// next decodes the next line into v. io.EOF is the orderly end.
func (s *lineStream) next(v any) error {
	line, err := readLine(s.r)
	if err != nil {
		if err == io.EOF {
			return io.EOF
		}
		if model.KindOf(err) == model.KindTooLarge {
			return err
		}
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		return broken(s.ctx, err)
	}
	s.alarm.Reset(lifeTimeout)
	if err := json.Unmarshal(line, v); err != nil {
		return model.WrapError(model.KindUnavailable, err, "the node sent a message that this version does not understand; are both of the same release?")
	}
	return nil
}

// Close ends the request, and with it the work behind it.
func (s *lineStream) Close() error {
	s.close.Do(func() {
		s.alarm.Stop()
		s.cancel(nil)
		s.body.Close()
	})
	return nil
}

// readLine returns the next line of at most maxLine bytes. A line that ends
// without its newline was cut off: io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		piece, err := r.ReadSlice('\n')
		if err == nil && long == nil {
			return piece, nil
		}
		long = append(long, piece...)
		switch {
		case len(long) > maxLine:
			return nil, model.Errorf(model.KindTooLarge, "the node sent a message of more than %d bytes", maxLine)
		case err == nil:
			return long, nil
		case err == io.EOF && len(long) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

type journalStream struct {
	*lineStream
	epoch string
}

func (s *journalStream) Epoch() string { return s.epoch }

func (s *journalStream) Next() ([]model.JournalEntry, error) {
	var l journalLine
	if err := s.next(&l); err != nil {
		return nil, err
	}
	return l.Entries, l.Error.Err()
}
