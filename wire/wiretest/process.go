package wiretest

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"syscall"

	"github.com/spearheadcloud/spearhead/wire"
)

// Process is what runs in a container of the tests: like cat, it copies its
// input to its output and ends with 0 when the input ends. A signal ends it
// with 128 and its number, but for HUP, which it ignores. Input that comes
// before the start waits for it. Output is framed as stdcopy does.
type Process struct {
	mu      sync.Mutex
	changed *sync.Cond
	output  []byte
	waiting []byte // input before the start
	eof     bool   // of the input
	started bool
	ended   bool
	code    int
	done    chan struct{}
}

// NewProcess returns a process that has not started.
func NewProcess() *Process {
	p := &Process{done: make(chan struct{})}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// Start lets the process run.
func (p *Process) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = true
	if len(p.waiting) > 0 {
		p.print(p.waiting)
	}
	if p.eof {
		p.end(0)
	}
}

// Signal sends a signal, and reports whether there was a process to take it.
func (p *Process) Signal(sig syscall.Signal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.started || p.ended {
		return false
	}
	if sig != syscall.SIGHUP && sig != 0 {
		p.end(128 + int(sig))
	}
	return true
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the process has started and not ended.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started && !p.ended
}

// ExitCode is how the process ended.
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code
}

func (p *Process) end(code int) {
	if p.ended {
		return
	}
	p.ended, p.code = true, code
	close(p.done)
	p.changed.Broadcast()
}

func (p *Process) print(b []byte) {
	p.output = binary.BigEndian.AppendUint32(append(p.output, 1, 0, 0, 0), uint32(len(b)))
	p.output = append(p.output, b...)
	p.changed.Broadcast()
}

// Attach joins the process's streams; with past, from its first output on.
func (p *Process) Attach(ctx context.Context, past bool) wire.Stream {
	return p.open(ctx, past, true)
}

// Log returns the output so far and, with follow, what comes.
func (p *Process) Log(ctx context.Context, follow bool) io.ReadCloser {
	return p.open(ctx, true, follow)
}

func (p *Process) open(ctx context.Context, past, follow bool) *processStream {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &processStream{process: p, follow: follow}
	if !past {
		s.place = len(p.output)
	}
	s.unbind = context.AfterFunc(ctx, func() { s.Close() })
	return s
}

type processStream struct {
	process *Process
	follow  bool
	unbind  func() bool

	// Guarded by the process's mu.
	place  int
	closed bool
}

func (s *processStream) Read(b []byte) (int, error) {
	p := s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, io.ErrClosedPipe
		case s.place < len(p.output):
			n := copy(b, p.output[s.place:])
			s.place += n
			return n, nil
		case p.ended || !s.follow:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

func (s *processStream) Write(b []byte) (int, error) {
	p := s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case s.closed || p.ended || p.eof:
		return 0, io.ErrClosedPipe
	case p.started:
		p.print(b)
	default:
		p.waiting = append(p.waiting, b...)
	}
	return len(b), nil
}

func (s *processStream) CloseWrite() error {
	p := s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	p.eof = true
	if p.started {
		p.end(0)
	}
	return nil
}

func (s *processStream) Close() error {
	s.unbind()
	p := s.process
	p.mu.Lock()
	defer p.mu.Unlock()
	s.closed = true
	p.changed.Broadcast()
	return nil
}
