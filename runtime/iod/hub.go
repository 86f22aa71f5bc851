package iod

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunkSize = 128 << 10
	// clientBuffer is how far a client may be behind before its process is
	// held back for it.
	clientBuffer = 4 << 20
	// stallLimit is how long a client with a full buffer may hold its process
	// back without reading anything. Then it is cut off.
	stallLimit = 5 * time.Second
)

// A chunk is a piece of output that several readers share.
type chunk struct {
	buf  []byte
	n    int
	refs atomic.Int32
	pool *sync.Pool
}

func (c *chunk) data() []byte { return c.buf[:c.n] }

func (c *chunk) release() {
	if c.refs.Add(-1) == 0 && c.pool != nil {
		c.pool.Put(c)
	}
}

// A hub spreads the output of a process to its log and to attached clients.
type hub struct {
	logger *slog.Logger
	pool   *sync.Pool

	mu      sync.Mutex
	log     *logFile   // nil: none
	keep    *keepFirst // nil: nothing is kept
	clients map[*client]struct{}
}

// publish logs a chunk and queues it for every client. It takes over c. A
// client that joins meanwhile gets the chunk either from the log or from the
// queue, never from both.
func (h *hub) publish(stream byte, c *chunk) {
	h.mu.Lock()
	if h.log != nil {
		if err := h.log.write(stream, c.data()); err != nil {
			h.logger.Error("output is not logged", "err", err)
		}
	}
	if h.keep != nil {
		h.keep.write(c.data())
	}
	to := make([]*client, 0, 4)
	for cl := range h.clients {
		if cl.wants[stream] {
			to = append(to, cl)
		}
	}
	h.mu.Unlock()
	if len(to) > 0 && c.n < chunkSize/8 {
		c = c.shrink()
	}
	for _, cl := range to {
		c.refs.Add(1)
		err := cl.put(stream, c)
		if errors.Is(err, errStalled) {
			h.logger.Warn("an attached client is cut off", "err", err)
		}
		if err != nil {
			c.release()
			h.remove(cl)
		}
	}
	c.release()
}

// shrink returns a copy that wastes nothing and releases c.
func (c *chunk) shrink() *chunk {
	small := &chunk{buf: append([]byte(nil), c.data()...), n: c.n}
	small.refs.Store(1)
	c.release()
	return small
}

// join adds a client. carried is handed over first: what was read of each
// stream but is not yet a line in the log. The time is that of the last line.
func (h *hub) join(cl *client, withCarry bool) (last time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.log != nil {
		last = h.log.last
		for stream := range h.log.carry {
			rest := h.log.carry[stream]
			if !withCarry || len(rest) == 0 || !cl.wants[stream] {
				continue
			}
			c := &chunk{buf: append([]byte(nil), rest...), n: len(rest)}
			c.refs.Store(1)
			_ = cl.put(byte(stream), c) // there is room in a new client
		}
	}
	h.clients[cl] = struct{}{}
	return last
}

func (h *hub) remove(cl *client) {
	h.mu.Lock()
	delete(h.clients, cl)
	h.mu.Unlock()
	cl.cut()
}

// flush logs what is not a whole line yet.
func (h *hub) flush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.log == nil {
		return
	}
	if err := h.log.end(); err != nil {
		h.logger.Error("output is not logged", "err", err)
	}
}

// end gives every client its end.
func (h *hub) end() {
	h.mu.Lock()
	gone := h.clients
	h.clients = map[*client]struct{}{}
	h.mu.Unlock()
	for cl := range gone {
		cl.finish()
	}
}

// A client is a connection that output is sent to. Its queue is bounded.
type client struct {
	conn  *net.UnixConn
	wants [3]bool
	frame bool

	mu     sync.Mutex
	queue  []piece
	bytes  int
	ending bool          // no more will come
	dead   bool          // nobody reads
	wake   chan struct{} // something to send, or the end
	room   chan struct{} // something was sent
	done   chan struct{} // closed when the sender has returned
}

type piece struct {
	head [8]byte
	c    *chunk
}

func newClient(conn *net.UnixConn, stdout, stderr, frame bool) *client {
	return &client{
		conn: conn, wants: [3]bool{1: stdout, 2: stderr}, frame: frame,
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

var (
	errGone    = errors.New("the client has gone")
	errStalled = fmt.Errorf("it has read nothing for %v while its process waited for it", stallLimit)
)

// put queues a chunk, for which the caller has added a reference. While the
// queue is full it waits, as a pipe would, for a client that goes on reading;
// it returns errStalled when the client does not, and errGone when it is not
// there any more.
func (cl *client) put(stream byte, c *chunk) error {
	var stall *time.Timer
	for {
		cl.mu.Lock()
		if cl.dead {
			cl.mu.Unlock()
			return errGone
		}
		if cl.bytes < clientBuffer {
			p := piece{c: c}
			p.head[0] = stream
			binary.BigEndian.PutUint32(p.head[4:], uint32(c.n))
			cl.queue = append(cl.queue, p)
			cl.bytes += c.n
			cl.mu.Unlock()
			notify(cl.wake)
			return nil
		}
		cl.mu.Unlock()
		if stall == nil {
			stall = time.NewTimer(stallLimit)
			defer stall.Stop()
		}
		select {
		case <-cl.room:
		case <-cl.done:
			return errGone
		case <-stall.C:
			return errStalled
		}
	}
}

// send writes what is queued until the end or until nobody reads. It closes
// the connection.
func (cl *client) send() {
	defer close(cl.done)
	defer cl.conn.Close()
	for {
		cl.mu.Lock()
		batch := cl.queue
		cl.queue = nil
		ending, dead := cl.ending, cl.dead
		cl.mu.Unlock()
		if dead {
			drop(batch)
			return
		}
		if len(batch) == 0 {
			if ending {
				return
			}
			<-cl.wake
			continue
		}
		if !cl.write(batch) {
			cl.cut()
		}
	}
}

// batchBytes is how much is written in one go, so that a client that reads
// slowly makes room in small steps.
const batchBytes = 256 << 10

func (cl *client) write(batch []piece) bool {
	for len(batch) > 0 {
		var bufs net.Buffers
		n, i := 0, 0
		for ; i < len(batch) && n < batchBytes; i++ {
			if cl.frame {
				bufs = append(bufs, batch[i].head[:])
			}
			bufs = append(bufs, batch[i].c.data())
			n += batch[i].c.n
		}
		_, err := bufs.WriteTo(cl.conn)
		drop(batch[:i])
		batch = batch[i:]
		cl.mu.Lock()
		cl.bytes -= n
		cl.mu.Unlock()
		notify(cl.room)
		if err != nil {
			drop(batch)
			return false
		}
	}
	return true
}

func drop(batch []piece) {
	for _, p := range batch {
		p.c.release()
	}
}

// cut ends the client at once, in the middle of whatever it gets.
func (cl *client) cut() {
	cl.mu.Lock()
	cl.dead = true
	cl.mu.Unlock()
	cl.conn.Close()
	notify(cl.wake)
}

// finish ends the client when it has got all that is queued. One that does
// not read is cut after the stall limit.
func (cl *client) finish() {
	cl.mu.Lock()
	cl.ending = true
	cl.mu.Unlock()
	cl.conn.SetWriteDeadline(time.Now().Add(6 * stallLimit))
	notify(cl.wake)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
