package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

var buildRoutes = []route{
	{name: "POST /build", handle: (*server).buildImage},
	{name: "POST /build/cancel", handle: (*server).cancelBuild},
	{name: "POST /build/prune", handle: (*server).pruneBuilds},
	{name: "POST /session", handle: (*server).joinSession},
	{name: "POST /grpc", handle: (*server).serveBuilder},
}

// buildLine is one line of the answer to a build.
type buildLine struct {
	Stream      string            `json:"stream,omitempty"`
	ID          string            `json:"id,omitempty"`
	Aux         any               `json:"aux,omitempty"`
	ErrorDetail *jsonstream.Error `json:"errorDetail,omitempty"`
	Error       string            `json:"error,omitempty"`
}

// Ids of lines that carry what BuildKit's clients read.
const (
	traceID = "moby.buildkit.trace"
	imageID = "moby.image.id"
)

// buildImage answers with a line for each step. An error before the first one
// is the answer's status; one after it is the last line.
func (s *server) buildImage(c *call) error {
	r, err := c.buildRequest()
	if err != nil {
		return err
	}
	out := &buildStream{c: c, quiet: c.query.bool("q"), traced: r.Session != "" && c.query.Get("version") == "2"}
	id, err := s.Builds.Build(c.ctx(), c.account, r, c.r.Body, out.step)
	if err != nil && !out.begun {
		return buildFailure(err)
	}
	if err != nil {
		out.fail(err)
		return err
	}
	out.end(id, r)
	return nil
}

// buildFailure is the answer to a build of which nothing was told.
func buildFailure(err error) error {
	var failed *BuildError
	if errors.As(err, &failed) {
		return model.Errorf(model.KindInvalid, "%s", failed.Text)
	}
	return err
}

// buildStream writes the lines of a build.
type buildStream struct {
	c      *call
	quiet  bool
	traced bool // for a client that shows BuildKit's own progress
	begun  bool
}

func (b *buildStream) step(s BuildStep) {
	switch {
	case s.Trace != nil:
		if b.traced {
			b.line(buildLine{ID: traceID, Aux: s.Trace})
		}
	case !b.quiet && !b.traced:
		b.line(buildLine{Stream: s.Text})
	}
}

func (b *buildStream) fail(err error) {
	detail := &jsonstream.Error{Message: errorText(err, b.c.id)}
	var failed *BuildError
	if errors.As(err, &failed) {
		detail.Code, detail.Message = failed.Code, failed.Text
	}
	b.line(buildLine{ErrorDetail: detail, Error: detail.Message})
}

func (b *buildStream) end(id string, r BuildRequest) {
	switch {
	case id == "": // something else than an image was made
	case b.traced:
		b.line(buildLine{ID: imageID, Aux: build.Result{ID: id}})
	case b.quiet:
		b.line(buildLine{Stream: id + "\n"})
	default:
		b.line(buildLine{Aux: build.Result{ID: id}})
		b.line(buildLine{Stream: "Successfully built " + model.ShortID(trimAlgorithm(id)) + "\n"})
		for _, name := range r.Names {
			b.line(buildLine{Stream: "Successfully tagged " + familiar(name) + "\n"})
		}
	}
}

func (b *buildStream) line(l buildLine) {
	if !b.begun {
		b.begun = true
		b.c.w.Header().Set("Content-Type", "application/json")
		b.c.w.WriteHeader(http.StatusOK)
	}
	body, err := json.Marshal(l)
	if err != nil {
		return // strings always encode
	}
	b.c.w.Write(append(body, '\r', '\n'))
	http.NewResponseController(b.c.w).Flush()
}

func (s *server) cancelBuild(c *call) error {
	id := c.query.Get("id")
	if id == "" {
		return invalid("build ID not provided")
	}
	if err := s.Builds.CancelBuild(c.ctx(), c.account, id); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

// serveBuilder turns the connection into one to the account's builder.
func (s *server) serveBuilder(c *call) error {
	if err := c.wantsUpgrade(); err != nil {
		return err
	}
	conn := &upgraded{c: c}
	defer conn.end()
	return s.Builds.ServeBuilder(c.ctx(), c.account, conn.take)
}

// joinSession turns the connection into one on which the client is asked.
func (s *server) joinSession(c *call) error {
	if err := c.wantsUpgrade(); err != nil {
		return err
	}
	conn := &upgraded{c: c}
	defer conn.end()
	return s.Builds.JoinSession(c.ctx(), c.account, c.r.Header, conn.take)
}

func (c *call) wantsUpgrade() error {
	if c.r.Header.Get("Upgrade") != "h2c" {
		return invalid("this call needs a connection that is upgraded to h2c")
	}
	return nil
}

// upgraded is a connection that is taken over when there is somebody for it.
type upgraded struct {
	c    *call
	conn net.Conn
	stop func() bool
}

func (u *upgraded) take() (net.Conn, error) {
	conn, buffered, err := http.NewResponseController(u.c.w).Hijack()
	if err != nil {
		return nil, model.WrapError(model.KindInternal, err, "cannot take over the connection")
	}
	u.conn = conn
	u.stop = context.AfterFunc(u.c.ctx(), func() { conn.Close() })
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, u.c.switching()); err != nil {
		return nil, err
	}
	return earlyConn{Conn: conn, in: input(buffered.Reader, conn)}, nil
}

func (u *upgraded) end() {
	if u.conn != nil {
		u.stop()
		u.conn.Close()
	}
}

// switching is the answer by which a connection becomes HTTP/2.
func (c *call) switching() string {
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" +
		"Api-Version: " + compat.Newest.String() + "\r\nX-Request-Id: " + c.w.Header().Get("X-Request-Id") + "\r\n\r\n"
}

// earlyConn is a connection of which something was read already.
type earlyConn struct {
	net.Conn
	in io.Reader
}

func (c earlyConn) Read(p []byte) (int, error) { return c.in.Read(p) }
