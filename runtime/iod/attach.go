package iod

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// attachOptions are the query of an attach request.
type attachOptions struct {
	stdin, stdout, stderr bool
	carry                 bool   // begin with what is not yet a line in the log
	keys                  []byte // that detach; nil for none
}

// attach joins a connection to the unit until the end of its run.
func (u *unit) attach(conn *net.UnixConn, early *bufio.Reader, o attachOptions, hello func(last time.Time) error) {
	cl := newClient(conn, o.stdout, o.stderr, !u.set.Tty)
	// The answer must come before any output: nothing is sent until it is out.
	last := u.hub.join(cl, o.carry)
	if err := hello(last); err != nil {
		u.hub.remove(cl)
		return
	}
	u.sup.work.Go(func() {
		cl.send()
		u.hub.remove(cl)
	})
	u.mu.Lock()
	gone := u.phase == removed || u.set.Container != "" && u.last != nil
	u.mu.Unlock()
	if gone {
		cl.finish()
	}
	if o.stdin && u.set.Stdin {
		u.copyInput(io.MultiReader(bufferedOf(early), conn), cl, o.keys)
	} else {
		_, _ = io.Copy(io.Discard, conn)
	}
	awaitHangup(conn, cl.done)
	u.hub.remove(cl)
	<-cl.done
}

func bufferedOf(r *bufio.Reader) io.Reader {
	b, _ := r.Peek(r.Buffered())
	return bytes.NewReader(b)
}

// copyInput passes on what a client types until it ends its input.
func (u *unit) copyInput(from io.Reader, cl *client, keys []byte) {
	d := detacher{seq: keys}
	if !u.set.Tty {
		d.seq = nil
	}
	u.mu.Lock()
	begun := u.begun
	u.mu.Unlock()
	select {
	case <-begun:
	case <-cl.done:
		return
	}
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pass, detached := d.filter(buf[:n])
			if u.writeInput(pass) != nil {
				_, _ = io.Copy(io.Discard, from) // the process wants no more
				return
			}
			if detached {
				cl.finish()
				return
			}
			if n == len(buf) && n < 64<<10 {
				buf = make([]byte, 4*n) // much is coming
			}
		}
		if err != nil {
			break
		}
	}
	if u.set.StdinOnce && !u.set.Tty {
		u.endStdin()
	}
}

// writeInput blocks while the process does not read.
func (u *unit) writeInput(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	u.mu.Lock()
	to := u.io.in
	if u.io.pty != nil {
		to = u.io.pty
	}
	u.mu.Unlock()
	if to == nil {
		return os.ErrClosed
	}
	_, err := to.Write(b)
	return err
}

// awaitHangup returns when the other side has closed both directions, or when
// done is closed. A client that only ended its input still gets output.
func awaitHangup(conn *net.UnixConn, done <-chan struct{}) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		select {
		case <-done:
			return true
		default:
		}
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
}

// upgrade takes the connection of a request over from the HTTP server.
func upgrade(w http.ResponseWriter) (*net.UnixConn, *bufio.Reader, error) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, nil, http.ErrNotSupported
	}
	return unixConn, buf.Reader, unixConn.SetDeadline(time.Time{})
}
