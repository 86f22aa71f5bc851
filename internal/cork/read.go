package cork

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
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
// It takes memory only while something is there to be read. Its methods are of
// one goroutine at a time, which a TLS connection sees to.
type intake struct {
	raw  syscall.RawConn
	full *[basin]byte // nil: empty
	from int          // what full has is full[from:to]
	to   int

	head [recordHeader]byte // of the record that is being handed on
	seen int                // bytes of head that were
	left int                // bytes that are left of the record after its head
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

// ready reports whether a whole record waits.
func (i *intake) ready() bool {
	if i.full == nil || i.left > 0 || i.seen > 0 || i.to-i.from < recordHeader {
		return false
	}
	return i.to-i.from-recordHeader >= int(binary.BigEndian.Uint16(i.full[i.from+3:]))
}
