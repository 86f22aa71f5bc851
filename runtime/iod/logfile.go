package iod

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

// maxLine is where Docker cuts a line that does not end.
const maxLine = 16 << 10

// writeSize is how much is written in one go.
const writeSize = 64 << 10

// A logFile writes a log as package jsonlog describes it, and rotates it. Its
// lines are cut as Docker's are: at each newline, and at 16 KiB without one; only a
// text with its newline ends a line. Its hub guards it.
type logFile struct {
	dir     string
	maxSize int64 // 0: never rotated
	shelf   *shelf

	file  *os.File
	size  int64
	last  time.Time
	carry [3][]byte // by stream: what came after the last newline
	buf   []byte
}

func newLogFile(dir string, s Settings) *logFile {
	return &logFile{dir: dir, maxSize: s.LogSize, shelf: newShelf(dir, max(s.LogFiles, 1), s.LogCompress)}
}

// write logs data that came from stream 1 or 2.
func (l *logFile) write(stream byte, data []byte) error {
	at := l.stamp()
	l.buf = make([]byte, 0, min(2*len(data)+256, writeSize+maxLine))
	return splitLines(&l.carry[stream], data, func(text []byte) error {
		return l.line(stream, text, at)
	}, l.flush)
}

// end logs what had no newline at the end of a run, and waits for nothing.
func (l *logFile) end() error {
	var errs []error
	for stream, rest := range l.carry {
		if len(rest) > 0 {
			errs = append(errs, l.line(byte(stream), rest, l.stamp()))
		}
		l.carry[stream] = nil
	}
	errs = append(errs, l.flush(), l.close())
	l.shelf.stop()
	return errors.Join(errs...)
}

func (l *logFile) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// stamp is the time now, as lines have it, but always later than before, so that
// a time tells which lines were written before a client joined.
func (l *logFile) stamp() []byte {
	now := time.Now().UTC()
	if !now.After(l.last) {
		now = l.last.Add(1)
	}
	l.last = now
	return jsonlog.AppendStamp(nil, now)
}

// splitLines cuts *carry and data into lines, hands each to emit, and keeps
// what is left in *carry. done is called once at the end.
func splitLines(carry *[]byte, data []byte, emit func([]byte) error, done func() error) error {
	var errs []error
	for len(data) > 0 {
		room := maxLine - len(*carry)
		end := min(len(data), room)
		whole := end == room
		if i := bytes.IndexByte(data[:end], '\n'); i >= 0 {
			end, whole = i+1, true
		}
		part := data[:end]
		data = data[end:]
		if len(*carry) > 0 || !whole {
			*carry = append(*carry, part...)
			part = *carry
		}
		if whole {
			if err := emit(part); err != nil {
				errs = append(errs, err)
			}
			*carry = nil
		}
	}
	return errors.Join(append(errs, done())...)
}

func (l *logFile) line(stream byte, text, at []byte) error {
	start := len(l.buf)
	l.buf = jsonlog.AppendStamped(l.buf, stream, text, at)
	n := int64(len(l.buf) - start)
	if l.maxSize == 0 || l.size+n <= l.maxSize || l.size == 0 && start == 0 {
		l.size += n
		if len(l.buf) < writeSize {
			return nil
		}
		return l.out()
	}
	next := append([]byte(nil), l.buf[start:]...)
	l.buf = l.buf[:start]
	err := errors.Join(l.out(), l.rotate())
	l.buf = append(l.buf, next...)
	l.size += n
	return err
}

// flush writes what is ready, and keeps no memory.
func (l *logFile) flush() error {
	err := l.out()
	l.buf = nil
	return err
}

// out writes what is ready. After a failure the file is opened anew, which
// mends its end.
func (l *logFile) out() error {
	if len(l.buf) == 0 {
		return nil
	}
	defer func() { l.buf = l.buf[:0] }()
	if err := l.open(); err != nil {
		return err
	}
	if _, err := l.file.Write(l.buf); err != nil {
		return errors.Join(fmt.Errorf("cannot write log: %w", err), l.close())
	}
	return nil
}

func (l *logFile) open() error {
	if l.file != nil {
		return nil
	}
	f, err := os.OpenFile(l.path(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open log: %w", err)
	}
	if err := mendTail(f); err != nil {
		f.Close()
		return err
	}
	l.file = f
	l.shelf.compressAll()
	return nil
}

func (l *logFile) path() string { return filepath.Join(l.dir, jsonlog.Name) }

// mendTail ends a line that a crash cut short, so that it spoils no other.
func mendTail(f *os.File) error {
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return err
	}
	r, err := os.Open(f.Name())
	if err != nil {
		return err
	}
	defer r.Close()
	var b [1]byte
	if _, err := r.ReadAt(b[:], st.Size()-1); err != nil || b[0] == '\n' {
		return err
	}
	_, err = f.Write([]byte("\n"))
	return err
}

// load finds out what there is already. All of that is from before.
func (l *logFile) load() error {
	l.last = time.Now().UTC()
	if st, err := os.Stat(l.path()); err == nil {
		l.size = st.Size()
	}
	return l.shelf.load()
}

// rotate puts the file on the shelf. A reader that holds it open reads it to
// its end.
func (l *logFile) rotate() error {
	l.size = 0
	return errors.Join(l.close(), l.shelf.add(l.path()))
}
