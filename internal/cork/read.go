package cork

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// basin is how much is read from the kernel at once.
const basin = 128 << 10

var basins = sync.Pool{New: func() any { return new([basin]byte) }}

// recordHeader is the length of a TLS record's header, whose last two bytes
// are the length of the rest (RFC 8446, 5.1).
const recordHeader = 5

// intake reads a connection in large pieces and hands it on record by record.
// It takes memory only while something is there to be read. It is read by one
// goroutine at a time, which a TLS connection sees to.
type intake struct {
	raw  syscall.RawConn
	full *[basin]byte // nil: empty
	from int          // what full has is full[from:to]
	to   int

	head [recordHeader]byte // of the record that is being handed on
	seen int                // bytes of head that were
	left int                // bytes that are left of the record after its head

	whole atomic.Bool // a record waits
}

// read hands on no more than the rest of a record, so that what comes after it
// stays where Ready can see it.
func (i *intake) read(p []byte) (int, error) {
	if i.full == nil {
		if err := i.fill(); err != nil {
			return 0, err
		}
	}
	part := i.left
	if part == 0 {
		part = recordHeader - i.seen
	}
	n := copy(p[:min(len(p), part)], i.full[i.from:i.to])
	i.pass(p[:n])
	if i.from += n; i.from == i.to {
		basins.Put(i.full)
		i.full = nil
	}
	i.whole.Store(i.ready())
	return n, nil
}

// pass notes where in a record what was handed on ends.
func (i *intake) pass(b []byte) {
	if i.left > 0 {
		i.left -= len(b)
		return
	}
	i.seen += copy(i.head[i.seen:], b)
	if i.seen == recordHeader {
		i.left, i.seen = int(binary.BigEndian.Uint16(i.head[3:])), 0
	}
}

// fill waits until there is something, and only then takes memory for it.
func (i *intake) fill() error {
	var n int
	var failed error
	var into *[basin]byte
	err := i.raw.Read(func(fd uintptr) bool {
		into = basins.Get().(*[basin]byte)
		for {
			if n, failed = unix.Read(int(fd), into[:]); failed != unix.EINTR {
				break
			}
		}
		if failed == unix.EAGAIN {
			basins.Put(into)
			return false
		}
		return true
	})
	switch {
	case err != nil: // the wait ended, and nothing was read
		return err
	case failed == nil && n > 0:
		i.full, i.from, i.to = into, 0, n
		return nil
	}
	basins.Put(into)
	if failed == nil {
		return io.EOF
	}
	return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", failed)}
}

// ready reports whether a whole record waits, and nothing of another one.
func (i *intake) ready() bool {
	if i.full == nil || i.left > 0 || i.seen > 0 || i.to-i.from < recordHeader {
		return false
	}
	return i.to-i.from-recordHeader >= int(binary.BigEndian.Uint16(i.full[i.from+3:]))
}

// Reader reads the content of a connection with TLS, or a part of it, such as a
// request's body, with all records that have come in one read: each of the
// connection's own reads returns one at most. It is for one goroutine.
type Reader struct {
	from   io.Reader
	cork   Cork
	failed error // of a read that had something first
}

// NewReader returns one of what comes by the connection of a cork.
func NewReader(from io.Reader, c Cork) *Reader { return &Reader{from: from, cork: c} }

// Read implements io.Reader. It waits only for the first byte.
func (r *Reader) Read(p []byte) (n int, err error) {
	if r.failed != nil {
		return 0, r.failed
	}
	n, err = r.from.Read(p)
	for err == nil && n < len(p) && r.cork.Ready() {
		var more int
		more, r.failed = r.from.Read(p[n:])
		if n += more; r.failed != nil {
			break
		}
	}
	return n, err
}
