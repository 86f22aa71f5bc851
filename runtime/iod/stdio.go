package iod

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stdio is the supervisor's side of a process's standard streams: FIFOs, which
// can be opened again by their names, or the master of a terminal.
type stdio struct {
	in       *os.File // nil: /dev/null, or ended
	out, err *os.File
	pty      *os.File // of a terminal, instead of the three above
}

// childEnds are what the process gets.
type childEnds [3]*os.File

func (c childEnds) close() {
	for _, f := range c {
		if f != nil {
			f.Close()
		}
	}
}

var fifoNames = [3]string{"stdin", "stdout", "stderr"}

// openFifos makes the FIFOs of a new run. The process's ends of stdout and
// stderr are open for reading as well: so it gets no SIGPIPE while there is no
// supervisor, and nothing that it writes then is lost.
func openFifos(dir string, withStdin bool) (s stdio, child childEnds, err error) {
	defer func() {
		if err != nil {
			s.close()
			child.close()
		}
	}()
	for _, name := range fifoNames {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, child, fmt.Errorf("cannot make streams: %w", err)
		}
		if err := unix.Mkfifo(path, 0o600); err != nil {
			return s, child, fmt.Errorf("cannot make streams: %w", err)
		}
	}
	for i, name := range fifoNames[1:] {
		if child[i+1], err = openFlags(filepath.Join(dir, name), unix.O_RDWR); err != nil {
			return s, child, err
		}
	}
	if !withStdin {
		if child[0], err = openFlags(os.DevNull, unix.O_RDONLY); err != nil {
			return s, child, err
		}
	} else if err := openStdin(filepath.Join(dir, fifoNames[0]), &s, &child); err != nil {
		return s, child, err
	}
	err = s.openOutputs(dir)
	return s, child, err
}

// openStdin opens both ends; a FIFO's end only opens at once if the other one
// is open.
func openStdin(path string, s *stdio, child *childEnds) error {
	both, err := openFlags(path, unix.O_RDWR|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer both.Close()
	if child[0], err = openFlags(path, unix.O_RDONLY); err != nil {
		return err
	}
	s.in, err = openFlags(path, unix.O_WRONLY|unix.O_NONBLOCK)
	return err
}

func (s *stdio) openOutputs(dir string) (err error) {
	if s.out, err = openFlags(filepath.Join(dir, fifoNames[1]), unix.O_RDONLY|unix.O_NONBLOCK); err != nil {
		return err
	}
	s.err, err = openFlags(filepath.Join(dir, fifoNames[2]), unix.O_RDONLY|unix.O_NONBLOCK)
	return err
}

func openFlags(path string, flags int) (*os.File, error) {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", filepath.Base(path), err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (s *stdio) close() {
	for _, f := range []*os.File{s.in, s.out, s.err, s.pty} {
		if f != nil {
			f.Close()
		}
	}
	*s = stdio{}
}

// pipeSize is how much a FIFO may hold for a process that writes much; 1 MiB
// is what the kernel allows by default.
const pipeSize = 1 << 20

// pump reads a stream and publishes it until its end, or until stop, and then
// what is there at that moment. It keeps no memory while it waits.
func pump(f *os.File, stream byte, h *hub) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	grown := false
	for {
		c, end := readChunk(conn.Read, h.pool)
		if end {
			break
		}
		if c.n >= 32<<10 && !grown {
			grown = true // a process that writes much gets a larger pipe; refused for a terminal
			_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
		}
		h.publish(stream, c)
	}
	once := func(try func(uintptr) bool) error {
		return conn.Control(func(fd uintptr) { try(fd) })
	}
	for left := pipeSize; left > 0; {
		c, end := readChunk(once, h.pool)
		if end {
			return
		}
		left -= c.n
		h.publish(stream, c)
	}
}

// readChunk reads what is there. end is set when there is no more, or when
// wait gave up.
func readChunk(wait func(func(uintptr) bool) error, pool *sync.Pool) (c *chunk, end bool) {
	n, got := 0, false
	err := wait(func(fd uintptr) bool {
		c = pool.Get().(*chunk)
		var err error
		n, err = unix.Read(int(fd), c.buf)
		if err == unix.EAGAIN || err == unix.EINTR {
			pool.Put(c)
			return false
		}
		got = true
		return true
	})
	if err != nil && !got || !got {
		return nil, true
	}
	if n <= 0 { // the end; EIO is how a terminal says it
		pool.Put(c)
		return nil, true
	}
	c.n, c.pool = n, pool
	c.refs.Store(1)
	return c, false
}

// stopPump makes pumps of these files read what is there and return.
func stopPump(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.SetReadDeadline(time.Unix(1, 0))
		}
	}
}

// A console is the socket on which an OCI runtime hands over the master of a
// new terminal.
type console struct {
	path string
	l    *net.UnixListener
}

func newConsole(path string) (*console, error) {
	_ = os.Remove(path)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot make console socket: %w", err)
	}
	return &console{path, l}, nil
}

func (c *console) close() { c.l.Close() }

// receive returns the terminal's master after the runtime has sent it.
func (c *console) receive(deadline time.Time) (*os.File, error) {
	_ = c.l.SetDeadline(deadline)
	conn, err := c.l.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("cannot get terminal: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline)
	fd, _, err := receiveFd(conn)
	if err == nil && fd < 0 {
		err = errors.New("no descriptor came")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot get terminal: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot get terminal: %w", err)
	}
	return os.NewFile(uintptr(fd), "pty"), nil
}

// receiveFd reads one message and the descriptor in it; -1 if it has none.
func receiveFd(conn *net.UnixConn) (fd int, text []byte, err error) {
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*8))
	n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return -1, nil, err
	}
	fd = -1
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return -1, nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, f := range fds {
			if fd >= 0 {
				unix.Close(f)
				continue
			}
			unix.CloseOnExec(f)
			fd = f
		}
	}
	return fd, buf[:n], nil
}

func setSize(pty *os.File, rows, cols uint16) error {
	conn, err := pty.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	return errors.Join(err, failed)
}
