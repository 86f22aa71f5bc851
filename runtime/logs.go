package runtime

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// timeFormat is RFC 3339 with all nine digits of the second, as Docker prints.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

// maxLogLine is more than a line of 16 KiB can need as JSON.
const maxLogLine = 256 << 10

// LogDir is the directory of a registered container's log files, which package
// jsonlog reads.
func (r *Runtime) LogDir(id string) string { return r.containerDir(id) }

// Logs returns a container's log, framed as Stream says unless it has a
// terminal. KindNotImplemented if it keeps none.
func (r *Runtime) Logs(ctx context.Context, id string, o LogOptions) (io.ReadCloser, error) {
	set, err := r.readSettings(id)
	if err != nil {
		return nil, err
	}
	if !set.Log {
		return nil, model.Errorf(model.KindNotImplemented, "configured logging driver does not support reading")
	}
	ctx, cancel := context.WithCancel(ctx)
	chain, err := openLogChain(filepath.Join(r.containerDir(id), iod.LogName), max(set.LogFiles, 1), o.Tail)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("cannot read log: %w", err)
	}
	pr, pw := io.Pipe()
	reading := &logReading{PipeReader: pr, cancel: cancel, done: make(chan struct{})}
	out := &logWriter{w: bufio.NewWriterSize(pw, 32<<10), framed: !set.Tty, o: o}
	go func() {
		defer close(reading.done)
		defer chain.close()
		stop := context.AfterFunc(ctx, func() { pw.CloseWithError(io.EOF) })
		defer stop()
		err := chain.copy(out)
		if err == nil && o.Follow {
			err = r.follow(ctx, id, chain, out)
		}
		if errors.Is(err, errPastUntil) || ctx.Err() != nil {
			err = nil
		}
		pw.CloseWithError(errors.Join(err, out.w.Flush()))
	}()
	return reading, nil
}

type logReading struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close ends the reading and waits for it.
func (l *logReading) Close() error {
	l.cancel()
	err := l.PipeReader.Close()
	<-l.done
	return err
}

// follow goes on with what is logged until the container ends.
func (r *Runtime) follow(ctx context.Context, id string, chain *logChain, out *logWriter) error {
	changes, err := watchDir(filepath.Dir(chain.path))
	if err != nil {
		return err
	}
	defer changes.close()
	ended := make(chan struct{})
	waiting, cancel := context.WithCancel(ctx)
	defer func() { cancel(); <-ended }()
	go func() {
		defer close(ended)
		if err := r.ask(waiting, "GET", unitPath(id, "wait"), nil, nil); err != nil && waiting.Err() == nil {
			r.logger.Debug("end of a container is not awaited", "container", id, "err", err)
		}
	}()
	var until <-chan time.Time
	if !out.o.Until.IsZero() {
		timer := time.NewTimer(time.Until(out.o.Until))
		defer timer.Stop()
		until = timer.C
	}
	for last := false; ; {
		if err := chain.copy(out); err != nil {
			return err
		}
		if err := out.w.Flush(); err != nil || last {
			return err
		}
		select {
		case <-changes.changed:
		case <-ended:
			last = true // all of its output is in the log by now
		case <-until:
			last = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// logEntry is one line of the json-file format.
type logEntry struct {
	Log    string    `json:"log"`
	Stream string    `json:"stream"`
	Time   time.Time `json:"time"`
}

var errPastUntil = errors.New("past the time asked for")

// A logWriter selects and writes entries.
type logWriter struct {
	w      *bufio.Writer
	framed bool
	o      LogOptions
}

// entry writes one line of a log file. A damaged one is left out.
func (l *logWriter) entry(line []byte) error {
	var e logEntry
	if json.Unmarshal(line, &e) != nil {
		return nil
	}
	if e.Time.Before(l.o.Since) {
		return nil
	}
	if !l.o.Until.IsZero() && e.Time.After(l.o.Until) {
		return errPastUntil
	}
	stream := byte(1)
	if e.Stream == "stderr" {
		stream = 2
	}
	if stream == 1 && !l.o.Stdout || stream == 2 && !l.o.Stderr {
		return nil
	}
	prefix := ""
	if l.o.Timestamps {
		prefix = e.Time.Format(timeFormat) + " "
	}
	if l.o.Details {
		prefix += " "
	}
	if l.framed {
		head := [8]byte{stream}
		binary.BigEndian.PutUint32(head[4:], uint32(len(prefix)+len(e.Log)))
		l.w.Write(head[:]) // a bufio.Writer keeps its first error for the last call
	}
	l.w.WriteString(prefix)
	_, err := l.w.WriteString(e.Log)
	return err
}

// A logChain reads a log across its rotated files, oldest first.
type logChain struct {
	path  string
	max   int
	files []*os.File // those not read to their end yet; the last is being written
	r     *bufio.Reader
	part  []byte // a line without its end so far
}

// openLogChain opens all files of a log at once and goes to where the last
// tail lines begin; negative is all. It opens the newest first: a rotation
// meanwhile moves files away from it, so that it may meet one twice but never
// misses one.
func openLogChain(path string, maxFiles, tail int) (*logChain, error) {
	c := &logChain{path: path, max: maxFiles}
	for i := range maxFiles {
		f, err := os.Open(rotatedName(path, i))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			c.close()
			return nil, err
		}
		if len(c.files) > 0 && sameFile(c.files[0], f) {
			f.Close()
			continue
		}
		c.files = append([]*os.File{f}, c.files...)
	}
	if tail < 0 {
		return c, nil
	}
	for i := len(c.files) - 1; i >= 0; i-- {
		n, err := seekTail(c.files[i], tail)
		if err != nil {
			c.close()
			return nil, err
		}
		if tail -= n; tail <= 0 {
			for _, f := range c.files[:i] {
				f.Close()
			}
			c.files = c.files[i:]
			break
		}
	}
	return c, nil
}

func rotatedName(path string, i int) string {
	if i == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, i)
}

func sameFile(a, b *os.File) bool {
	sa, errA := a.Stat()
	sb, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

// seekTail sets f to where its last want lines begin and returns how many
// there are.
func seekTail(f *os.File, want int) (lines int, err error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || want <= 0 {
		return 0, err
	}
	buf := make([]byte, 32<<10)
	for at := end; at > 0; {
		n := min(at, int64(len(buf)))
		at -= n
		if _, err := f.ReadAt(buf[:n], at); err != nil {
			return lines, err
		}
		for i := n - 1; i >= 0; i-- {
			if buf[i] != '\n' || at+i == end-1 {
				continue
			}
			if lines++; lines == want {
				_, err := f.Seek(at+i+1, io.SeekStart)
				return lines, err
			}
		}
	}
	if end > 0 {
		lines++ // the first line has no newline before it
	}
	_, err = f.Seek(0, io.SeekStart)
	return lines, err
}

func (c *logChain) close() {
	for _, f := range c.files {
		f.Close()
	}
	c.files = nil
}

// copy writes all whole lines that there are now.
func (c *logChain) copy(out *logWriter) error {
	for {
		if len(c.files) == 0 && !c.next(nil) {
			return nil
		}
		if c.r == nil {
			c.r = bufio.NewReaderSize(c.files[0], 64<<10)
		}
		piece, err := c.r.ReadSlice('\n')
		if len(c.part)+len(piece) <= maxLogLine {
			c.part = append(c.part, piece...)
		}
		switch {
		case err == nil:
			if err := out.entry(c.part); err != nil {
				return err
			}
			c.part = c.part[:0]
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			if len(c.files) == 1 && !c.next(c.files[0]) {
				return nil
			}
			// Between the two looks the old file may have got its last lines.
			if err := c.finishFirst(out); err != nil {
				return err
			}
		default:
			return fmt.Errorf("cannot read log: %w", err)
		}
	}
}

// finishFirst reads the first file to its end and lets it go.
func (c *logChain) finishFirst(out *logWriter) error {
	for {
		piece, err := c.r.ReadSlice('\n')
		if len(c.part)+len(piece) <= maxLogLine {
			c.part = append(c.part, piece...)
		}
		if err == nil {
			if err := out.entry(c.part); err != nil {
				return err
			}
			c.part = c.part[:0]
			continue
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		c.files[0].Close()
		c.files, c.r, c.part = c.files[1:], nil, c.part[:0]
		return nil
	}
}

// next opens the file that followed f, or the first one if f is nil. It
// returns false if there is none yet.
func (c *logChain) next(f *os.File) bool {
	for f != nil {
		i := c.place(f)
		if i == 0 {
			return false
		}
		if i < 0 {
			break // f was dropped, and what lay between with it
		}
		newer, err := os.Open(rotatedName(c.path, i-1))
		if err != nil {
			return false // it is being made
		}
		if c.place(f) == i { // no rotation has come between
			c.files = append(c.files, newer)
			return true
		}
		newer.Close()
	}
	for i := c.max - 1; i >= 0; i-- {
		if oldest, err := os.Open(rotatedName(c.path, i)); err == nil {
			c.files = append(c.files, oldest)
			return true
		}
	}
	return false
}

// place returns how often f has been rotated, -1 if it is gone.
func (c *logChain) place(f *os.File) int {
	st, err := f.Stat()
	if err != nil {
		return -1
	}
	for i := range c.max {
		if at, err := os.Stat(rotatedName(c.path, i)); err == nil && os.SameFile(st, at) {
			return i
		}
	}
	if at, err := os.Stat(c.path); err == nil && os.SameFile(st, at) {
		return 0
	}
	return -1
}
