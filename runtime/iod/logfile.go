package iod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxLine is where Docker cuts a line that does not end.
const maxLine = 16 << 10

// A logFile writes Docker's json-file format, one object a line, and rotates.
// Its lines are cut as Docker's are: at each newline, and at 16 KiB without
// one; only a text with its newline ends a line. Its hub guards it.
type logFile struct {
	path     string
	maxSize  int64 // 0: never rotated
	maxFiles int

	file  *os.File
	size  int64
	last  time.Time
	carry [3][]byte // by stream: what came after the last newline
	buf   []byte
}

func newLogFile(path string, s Settings) *logFile {
	return &logFile{path: path, maxSize: s.LogSize, maxFiles: max(s.LogFiles, 1)}
}

// write logs data that came from stream 1 or 2.
func (l *logFile) write(stream byte, data []byte) error {
	now := l.stamp()
	return splitLines(&l.carry[stream], data, func(text []byte) error {
		return l.line(stream, text, now)
	}, l.flush)
}

// end logs what had no newline at the end of a run.
func (l *logFile) end() error {
	var errs []error
	for stream, rest := range l.carry {
		if len(rest) > 0 {
			errs = append(errs, l.line(byte(stream), rest, l.stamp()))
		}
		l.carry[stream] = nil
	}
	errs = append(errs, l.flush())
	if l.file != nil {
		errs = append(errs, l.file.Close())
		l.file = nil
	}
	return errors.Join(errs...)
}

// stamp is the time now, but always later than before, so that a time tells
// which lines were written before a client joined.
func (l *logFile) stamp() time.Time {
	now := time.Now().UTC()
	if !now.After(l.last) {
		now = l.last.Add(1)
	}
	l.last = now
	return now
}

// splitLines cuts *carry and data into lines, hands each to emit, and keeps
// what is left in *carry. done is called once at the end.
func splitLines(carry *[]byte, data []byte, emit func([]byte) error, done func() error) error {
	var errs []error
	for len(data) > 0 {
		n := min(len(data), maxLine-len(*carry))
		end := n
		whole := n == maxLine-len(*carry)
		for i, c := range data[:n] {
			if c == '\n' {
				end, whole = i+1, true
				break
			}
		}
		part := data[:end]
		data = data[end:]
		if len(*carry) > 0 || !whole {
			*carry = append(*carry, part...)
			part = *carry
		}
		if whole {
			errs = append(errs, emit(part))
			*carry = nil
		}
	}
	return errors.Join(append(errs, done())...)
}

func (l *logFile) line(stream byte, text []byte, at time.Time) error {
	start := len(l.buf)
	l.buf = appendLine(l.buf, stream, text, at)
	n := int64(len(l.buf) - start)
	if l.maxSize == 0 || l.size+n <= l.maxSize || l.size == 0 && start == 0 {
		l.size += n
		return nil
	}
	next := append([]byte(nil), l.buf[start:]...)
	l.buf = l.buf[:start]
	err := errors.Join(l.flush(), l.rotate())
	l.buf = append(l.buf[:0], next...)
	l.size += n
	return err
}

func (l *logFile) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	defer func() { l.buf = nil }()
	if err := l.open(); err != nil {
		return err
	}
	if _, err := l.file.Write(l.buf); err != nil {
		return fmt.Errorf("cannot write log: %w", err)
	}
	return nil
}

func (l *logFile) open() error {
	if l.file != nil {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open log: %w", err)
	}
	if err := mendTail(f); err != nil {
		f.Close()
		return err
	}
	l.file = f
	return nil
}

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

// load finds out how much is in the file already. All of that is from before.
func (l *logFile) load() {
	l.last = time.Now().UTC()
	if st, err := os.Stat(l.path); err == nil {
		l.size = st.Size()
	}
}

// rotate moves each file one place up and lets the last one go. A reader that
// holds an old file open reads it to its end.
func (l *logFile) rotate() error {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	l.size = 0
	for i := l.maxFiles - 1; i >= 1; i-- {
		err := os.Rename(rotated(l.path, i-1), rotated(l.path, i))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot rotate log: %w", err)
		}
	}
	if l.maxFiles > 1 {
		return nil
	}
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot rotate log: %w", err)
	}
	return nil
}

func rotated(path string, i int) string {
	if i == 0 {
		return path
	}
	return path + "." + strconv.Itoa(i)
}

// appendLine appends one line in Docker's json-file format.
func appendLine(b []byte, stream byte, text []byte, at time.Time) []byte {
	b = append(b, `{"log":`...)
	b = appendString(b, text)
	b = append(b, `,"stream":"`...)
	b = append(b, streamName(stream)...)
	b = append(b, `","time":"`...)
	b = at.AppendFormat(b, time.RFC3339Nano)
	return append(b, "\"}\n"...)
}

func streamName(stream byte) string {
	if stream == 2 {
		return "stderr"
	}
	return "stdout"
}

const hexDigits = "0123456789abcdef"

// appendString appends s as JSON with the escapes that Docker chooses.
func appendString(b, s []byte) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '\\' && c != '"' && c != '<' && c != '>' && c != '&' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '\\', '"':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + n
		} else if r == '\u2028' || r == '\u2029' {
			b = append(append(b, s[start:i]...), `\u202`...)
			b = append(b, hexDigits[r&15])
			start = i + n
		}
		i += n
	}
	return append(append(b, s[start:]...), '"')
}
