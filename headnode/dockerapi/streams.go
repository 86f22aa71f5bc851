package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// lingerTime is how long a connection is read after its stream has ended: as
// long as a client may take to see the end and close. Closing at once would make
// the kernel reset the connection if input is still on its way, and the
// client would lose the tail of the output.
const lingerTime = 5 * time.Second

// mediaType is that of a stream, which is framed unless it is a terminal's.
func mediaType(v compat.Version, tty bool) string {
	if tty || v.Has(compat.RawStreams) {
		return types.MediaTypeRawStream
	}
	return types.MediaTypeMultiplexedStream
}

// attachRequest reads which streams to join.
func (c *call) attachRequest() (wire.AttachRequest, error) {
	r := wire.AttachRequest{
		Stdin: c.query.bool("stdin"), Stdout: c.query.bool("stdout"), Stderr: c.query.bool("stderr"),
		Logs: c.query.bool("logs"), Stream: c.query.bool("stream"), DetachKeys: c.query.Get("detachKeys"),
	}
	return r, checkDetachKeys(r.DetachKeys)
}

// checkDetachKeys refuses what is no sequence of keys: single characters and
// ctrl- with a letter or one of @ [ \ ] ^ _, separated by commas.
func checkDetachKeys(keys string) error {
	if keys == "" {
		return nil
	}
	for key := range strings.SplitSeq(keys, ",") {
		control, held := strings.CutPrefix(key, "ctrl-")
		switch {
		case !held && len(key) == 1 && key[0] < 0x80:
		case held && len(control) == 1 && strings.ContainsAny(control, `abcdefghijklmnopqrstuvwxyz@[\]^_`):
		default:
			return invalid("Invalid detach keys (%.64s) provided: use single characters or ctrl- with a letter, separated by commas", keys)
		}
	}
	return nil
}

func (s *server) attachContainer(c *call) error {
	r, err := c.attachRequest()
	if err != nil {
		return err
	}
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	// Attach has no use for a body, but dockerode sends one. What is left of it
	// would be the container's input.
	if _, err := c.readBody(); err != nil {
		return err
	}
	stream, err := s.Containers.Attach(c.ctx(), c.account, found.ID, r)
	if err != nil {
		return err
	}
	return c.join(stream, mediaType(c.version, found.Spec.Tty), r.Stdin)
}

func (s *server) startExec(c *call) error {
	var r container.ExecStartRequest
	if _, err := c.decode(&r); err != nil {
		return err
	}
	if r.ConsoleSize != nil && !r.Tty {
		return invalid("console size is only supported when TTY is enabled")
	}
	size, err := consoleSize("ConsoleSize", r.ConsoleSize, r.Tty)
	if err != nil {
		return err
	}
	start := wire.ExecStartRequest{Detach: r.Detach, Size: size}
	stream, err := s.Execs.StartExec(c.ctx(), c.account, c.vars["id"], start)
	if model.IsKind(err, model.KindInvalid) && !r.Detach {
		// A command that cannot be run is told on the stream: clients then ask for
		// the exec's exit code, which is 126 or 127.
		stream, err = newMessage(model.UserText(err)+"\r\n", r.Tty), nil
	}
	if err != nil {
		return err
	}
	if r.Detach {
		return c.done(http.StatusOK)
	}
	return c.join(stream, mediaType(c.version, r.Tty), true)
}

// message is a stream that says one thing and takes no input.
type message struct{ *bytes.Reader }

// newMessage frames the text as standard output, unless it is for a terminal.
func newMessage(text string, tty bool) message {
	var frame []byte
	if !tty {
		frame = binary.BigEndian.AppendUint32([]byte{byte(stdcopy.Stdout), 0, 0, 0}, uint32(len(text)))
	}
	return message{bytes.NewReader(append(frame, text...))}
}

func (message) Write(p []byte) (int, error) { return len(p), nil }
func (message) CloseWrite() error           { return nil }
func (message) Close() error                { return nil }

// join takes the connection over and joins it to the stream until the stream
// ends, the client has gone, or the server stops. It closes both. What broke a
// stream off is its error, for the log: the client sees no more than an end.
func (c *call) join(stream wire.Stream, mediaType string, stdin bool) error {
	var ended atomic.Bool // by us
	end := sync.OnceFunc(func() {
		ended.Store(true)
		stream.Close()
	})
	defer end()
	conn, buffered, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		return model.WrapError(model.KindInternal, err, "cannot take over the connection")
	}
	defer conn.Close()
	defer context.AfterFunc(c.ctx(), func() { end(); conn.Close() })()
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil //nolint:nilerr // the client has gone; there is nobody to tell
	}
	if _, err := io.WriteString(conn, c.takeover(mediaType)); err != nil {
		return nil //nolint:nilerr // as above
	}
	inputEnd := make(chan struct{})
	go func() {
		defer close(inputEnd)
		copyInput(stream, end, input(buffered.Reader, conn), stdin)
	}()
	broken := relay(cork.NewWriter(conn, cork.Below(conn)), stream, func() {}, end) // ends with the stream, or when the client has gone
	if ended.Load() {
		broken = nil // it is our own doing
	}
	end()
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	conn.SetReadDeadline(time.Now().Add(lingerTime))
	<-inputEnd
	if broken != nil {
		return fmt.Errorf("cannot carry the stream to its end: %w", broken)
	}
	return nil
}

// input is what the server read too early, and then the connection itself. The
// server's own reader would take the client's end of input for its going, and
// end the context of the request, with all that hangs on it.
func input(early *bufio.Reader, conn net.Conn) io.Reader {
	text, _ := early.Peek(early.Buffered())
	return io.MultiReader(bytes.NewReader(text), conn)
}

// copyInput carries what the client sends to the stream. At its end the
// stream's input ends, and output flows on; an error means that the client has gone,
// and the stream is closed. When the stream takes no more, input is thrown
// away until the client ends.
func copyInput(stream wire.Stream, end func(), in io.Reader, stdin bool) {
	var to io.Writer = io.Discard
	if stdin {
		to = stream
	}
	from := &source{Reader: in}
	_, err := io.Copy(to, from)
	switch {
	case err == nil:
		stream.CloseWrite()
	case from.err != nil:
		end()
	default:
		io.Copy(io.Discard, in)
	}
}

// source remembers the error of its reader, so that it can be told from the
// writer's.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// takeover is the answer by which the connection becomes a stream: 101 for a
// client that asks for an upgrade, 200 for one that does not.
func (c *call) takeover(mediaType string) string {
	var b strings.Builder
	if c.r.Header.Get("Upgrade") != "" {
		b.WriteString("HTTP/1.1 101 UPGRADED\r\nContent-Type: " + mediaType + "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n")
	} else {
		b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: " + mediaType + "\r\n")
	}
	for _, name := range []string{"Api-Version", "Docker-Experimental", "Ostype", "Server", "X-Request-Id"} {
		b.WriteString(name + ": " + c.w.Header().Get(name) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}
