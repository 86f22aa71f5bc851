package jsonlog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

const (
	readBuffer = 64 << 10
	// maxAhead is how many files a reader keeps open before it comes to them, so
	// that rotation does not take them away from it.
	maxAhead = 32
)

// A Reader reads a log across its files, and goes on with what is written. It
// is for one goroutine.
type Reader struct {
	dir   string
	now   *source   // is being read; nil: none yet
	ahead []*source // open, oldest first
	buf   *bufio.Reader
	pos   int64  // of what is read next
	part  []byte // of a line without its end so far
	cut   bool   // the line is too long, and dropped
	lost  int64
}

// Open returns a Reader for the log in dir that begins with the oldest line.
func Open(dir string) (*Reader, error) { return OpenAt(dir, 0) }

// OpenAt returns a Reader that begins at a position that Position has returned.
// If that is gone it begins with the oldest line there is; see Lost.
func OpenAt(dir string, position int64) (*Reader, error) {
	r := &Reader{dir: dir, pos: position}
	if err := r.lookAhead(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close lets go of the log.
func (r *Reader) Close() {
	r.now.close()
	for _, s := range r.ahead {
		s.close()
	}
	r.now, r.ahead = nil, nil
}

// Position is where the next line begins.
func (r *Reader) Position() int64 { return r.pos - int64(len(r.part)) }

// Lost returns how many bytes were dropped by rotation, or are damaged beyond
// reading, since it was last asked.
func (r *Reader) Lost() int64 {
	n := r.lost
	r.lost = 0
	return n
}

// Next reads the next line into e. What is damaged is left out. It returns
// io.EOF when there is nothing more at the moment.
func (r *Reader) Next(e *Entry) error {
	for {
		line, err := r.line()
		switch {
		case err == nil:
			if r.now.skip > 0 {
				r.now.skip--
				continue
			}
			if Parse(line, e) {
				return nil
			}
			continue
		case errors.Is(err, io.EOF):
		case r.now.compressed: // begin of the next file counts what is lost
		default:
			return fmt.Errorf("cannot read log: %w", err)
		}
		more, err := r.advance()
		if err != nil {
			return err
		}
		if !more {
			return io.EOF
		}
	}
}

// line returns the next line, which may be changed until the next call; nil
// for what is too long to be one. At the end of what there is it returns io.EOF.
func (r *Reader) line() ([]byte, error) {
	if r.now == nil {
		return nil, io.EOF
	}
	for {
		piece, err := r.buf.ReadSlice('\n')
		r.pos += int64(len(piece))
		if err == nil && len(r.part) == 0 && !r.cut {
			return piece, nil
		}
		if r.cut = r.cut || len(r.part)+len(piece) > maxLine; r.cut {
			r.part = nil
		} else {
			r.part = append(r.part, piece...)
		}
		switch {
		case err == nil && r.cut:
			r.cut = false
			return nil, nil
		case err == nil:
			line := r.part
			r.part = r.part[:0]
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// advance is called at the end of a file. It returns true if there is something
// to read now.
func (r *Reader) advance() (bool, error) {
	if r.now != nil && r.now.end < 0 && !r.now.final {
		if r.now.isCurrent(r.dir) {
			return false, nil
		}
		r.now.final = true // between the two looks it may have got its last lines
		return true, nil
	}
	if len(r.ahead) == 0 {
		if err := r.lookAhead(); err != nil || len(r.ahead) == 0 {
			return false, err // without an error, what follows is being made
		}
	}
	next := r.ahead[0]
	r.ahead = r.ahead[1:]
	r.now.close()
	r.now, r.part, r.cut = next, nil, false
	return true, r.begin()
}

// lookAhead opens the files that hold what comes after the position.
func (r *Reader) lookAhead() error {
	parts, current, err := look(r.dir)
	if err != nil {
		return err
	}
	defer func() { current.close() }()
	for _, p := range parts {
		if p.End <= r.pos {
			continue
		}
		if len(r.ahead) == maxAhead {
			return nil
		}
		s, err := p.open(r.dir)
		if err != nil {
			return err
		}
		if s != nil {
			r.ahead = append(r.ahead, s)
		}
	}
	if current == nil {
		return nil
	}
	if len(parts) == 0 && r.now != nil {
		current.first = r.pos // a log of a single file was started afresh
	}
	r.ahead = append(r.ahead, current)
	current = nil
	return nil
}

// begin goes to the position in a file that is to be read.
func (r *Reader) begin() error {
	if r.now.first > r.pos {
		r.lost += r.now.first - r.pos
		r.pos = r.now.first
	}
	if r.buf == nil {
		r.buf = bufio.NewReaderSize(nil, readBuffer)
	}
	at, err := r.now.read(r.buf, r.pos-r.now.first)
	r.pos = r.now.first + at
	return err
}
