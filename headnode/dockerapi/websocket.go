package dockerapi

import (
	"context"
	"io"
	"sync"

	"github.com/coder/websocket"
	"github.com/moby/moby/api/pkg/stdcopy"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/wire"
)

// attachSocket joins a WebSocket to a container's streams. Output is not
// framed: messages carry both of its streams as they come.
func (s *server) attachSocket(c *call) error {
	r, err := c.attachRequest()
	if err != nil {
		return err
	}
	if c.version.Has(compat.WholeSockets) {
		r.Stdin, r.Stdout, r.Stderr = true, true, true
	}
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	if c.r.Header.Get("Upgrade") == "" {
		return invalid("not a WebSocket: the request asks for no upgrade; use POST /containers/%.64s/attach", c.vars["id"])
	}
	stream, err := s.Containers.Attach(c.ctx(), c.account, found.ID, r)
	if err != nil {
		return err
	}
	end := sync.OnceFunc(func() { stream.Close() })
	defer end()
	socket, err := websocket.Accept(c.w, c.r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil //nolint:nilerr // Accept has answered
	}
	defer socket.CloseNow()
	c.joinSocket(socket, stream, end, !found.Spec.Tty, r.Stdin)
	return nil
}

// joinSocket carries messages both ways until the stream ends, the client has
// gone, or the server stops.
func (c *call) joinSocket(socket *websocket.Conn, stream wire.Stream, end func(), framed, stdin bool) {
	defer context.AfterFunc(c.ctx(), end)()
	kind := websocket.MessageBinary
	if c.version.Has(compat.TextSockets) {
		kind = websocket.MessageText
	}
	inputEnd := make(chan struct{})
	go func() {
		defer close(inputEnd)
		defer end()
		copyMessages(c.ctx(), socket, stream, stdin)
	}()
	out := messages{c.ctx(), socket, kind}
	if framed {
		stdcopy.StdCopy(out, out, stream) // ends with the stream, or when the client has gone
	} else {
		io.Copy(out, stream) // as above
	}
	end()
	socket.Close(websocket.StatusNormalClosure, "")
	<-inputEnd
}

// messages makes a message of each write.
type messages struct {
	ctx    context.Context
	socket *websocket.Conn
	kind   websocket.MessageType
}

func (m messages) Write(p []byte) (int, error) {
	if err := m.socket.Write(m.ctx, m.kind, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// copyMessages carries what the client sends, of either kind, to the stream. A
// WebSocket cannot end in one direction: when the client ends it, all ends.
func copyMessages(ctx context.Context, socket *websocket.Conn, stream io.Writer, stdin bool) {
	socket.SetReadLimit(-1) // a message is carried in parts, whatever its size
	for {
		_, message, err := socket.Reader(ctx)
		if err != nil {
			return
		}
		to := stream
		if !stdin {
			to = io.Discard
		}
		if _, err := io.Copy(to, message); err != nil {
			return
		}
	}
}
