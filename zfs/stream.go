package zfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Send returns the stream of a snapshot, whole or, with the name of an older
// snapshot of the same dataset as base, of what changed since. Its reader must
// close it. It ends with an error when zfs is silent for the deadline of a
// command, or ctx ends.
func (p *Pool) Send(ctx context.Context, snapshot, base string) (io.ReadCloser, error) {
	if err := checkSnapshot(snapshot); err != nil {
		return nil, err
	}
	args := []string(nil)
	if base != "" {
		if !snapshotRule.MatchString(base) {
			return nil, model.Errorf(model.KindInvalid, "invalid snapshot name %.64q", base)
		}
		args = append(args, "-i", "@"+base)
	}
	return p.send(ctx, append(args, p.full(snapshot))...)
}

func (p *Pool) send(ctx context.Context, args ...string) (io.ReadCloser, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot send snapshot: %w", err)
	}
	cmd := p.run.prepare(append([]string{"send"}, args...)...)
	cmd.Stdout = in
	c, err := p.run.carry(cmd)
	_ = in.Close() // the command has its own
	if err != nil {
		_ = out.Close()
		return nil, unavailable(fmt.Errorf("cannot send snapshot: %w", err))
	}
	s := &sending{carrier: c, out: out}
	s.unbind = context.AfterFunc(ctx, s.kill)
	return s, nil
}

// carrier is a zfs command that runs, and that a stream passes.
type carrier struct {
	run    *runner
	cmd    *exec.Cmd
	stderr *bounded
	hung   atomic.Bool
	ended  chan struct{} // closed at its end
	failed error         // of the command, once it has ended
}

// carry starts a command that a stream passes.
func (r *runner) carry(cmd *exec.Cmd) (*carrier, error) {
	c := &carrier{run: r, cmd: cmd, stderr: &bounded{limit: 4096}, ended: make(chan struct{})}
	cmd.Stderr = c.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.ended)
		c.failed = cmd.Wait()
	}()
	return c, nil
}

func (c *carrier) kill() { _ = c.cmd.Process.Kill() }

// finish waits for the end of a command that has nothing more to give or to
// take, or was killed, and returns what became of it. One that takes longer than
// patience is killed, and one that does not die of it, for it sleeps in the
// kernel, is left behind.
func (c *carrier) finish(verb string, patience time.Duration) error {
	if c.hung.Load() {
		patience = 0
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.ended:
	case <-timer.C:
		c.hung.Store(true)
		c.kill()
		timer.Reset(stuckAfter)
		select {
		case <-c.ended:
		case <-timer.C:
			c.run.stuck.Add(1)
			go func() {
				<-c.ended
				c.run.stuck.Add(-1)
			}()
		}
	}
	switch {
	case c.hung.Load():
		return unavailable(errHangs)
	case c.failed != nil:
		return classify(verb, c.stderr.String(), c.failed)
	}
	return nil
}

// sending is a zfs send that runs.
type sending struct {
	*carrier
	out    *os.File
	unbind func() bool

	wait sync.Once
	err  error // of the command, once it has been waited for
}

// Read implements io.Reader. Its patience is with zfs only: the time that the
// stream's reader takes between two calls does not count.
func (s *sending) Read(b []byte) (int, error) {
	impatient := time.AfterFunc(s.run.timeout, func() {
		s.hung.Store(true)
		s.abort()
	})
	n, err := s.out.Read(b)
	impatient.Stop()
	if err == nil {
		return n, nil
	}
	if failed := s.end(s.run.timeout); failed != nil {
		return n, failed
	}
	return n, io.EOF
}

// abort ends the command. One that is writing to its stream does not die before
// nobody can read that any more: OpenZFS may have another thread write for it.
func (s *sending) abort() {
	s.kill()
	_ = s.out.Close()
}

func (s *sending) end(patience time.Duration) error {
	s.wait.Do(func() {
		s.unbind()
		s.err = s.finish("send", patience)
	})
	return s.err
}

// Close ends the command if it still runs. What became of it a reader has
// learned from Read.
func (s *sending) Close() error {
	s.abort()
	_ = s.end(0)
	return nil
}

// Receive makes the dataset name of a whole stream, or adds an incremental one
// to it, and leaves it unmounted. What was written to it since the stream's
// base is lost. A stream that ends early, or is damaged, is KindInvalid and
// changes nothing; an error of the stream's reader is in the error's chain.
func (p *Pool) Receive(ctx context.Context, name string, stream io.Reader) error {
	return p.receive(ctx, name, stream)
}

func (p *Pool) receive(ctx context.Context, name string, stream io.Reader, options ...string) error {
	if err := checkName(name); err != nil {
		return err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot receive stream: %w", err)
	}
	args := append([]string{"receive", "-u", "-F"}, options...)
	cmd := p.run.prepare(append(args, p.full(name))...)
	cmd.Stdin = out
	c, err := p.run.carry(cmd)
	_ = out.Close() // the command has its own
	if err != nil {
		_ = in.Close()
		return unavailable(fmt.Errorf("cannot receive stream: %w", err))
	}
	defer context.AfterFunc(ctx, func() {
		c.kill()
		_ = in.Close()
	})()
	source := &watchedReader{Reader: stream}
	_, copied := io.Copy(patientWriter{in, p.run.timeout, func() {
		c.hung.Store(true)
		c.kill()
		_ = in.Close() // one that sleeps in the kernel reads no more, and does not end
	}}, source)
	_ = in.Close()
	patience := p.run.timeout
	if ctx.Err() != nil {
		patience = 0
	}
	err = c.finish("receive", patience)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.hung.Load():
		return err
	case source.failed != nil: // zfs only knows that the stream has ended early
		return fmt.Errorf("cannot receive stream: %w", source.failed)
	case copied != nil && err == nil:
		return fmt.Errorf("cannot receive stream: %w", copied)
	case err != nil:
		return receiveFailure(err)
	}
	return nil
}

var errHangs = errors.New("zfs neither took nor gave anything for too long")

// streamFaults are what zfs says of streams, in the words that OpenZFS and
// zfs-fuse share, and what that means to who sent one.
var streamFaults = []struct{ said, means string }{
	{"bad magic number", "this is no stream of a volume"},
	{"unsupported feature", "the stream is of another version of ZFS, which this node cannot read; send it from a node with an older one"},
	{"unsupported version", "the stream is of another version of ZFS, which this node cannot read; send it from a node with an older one"},
	{"destination has snapshots", "the stream is a whole one, and not what changed since a snapshot that is here; receive it under a new name"},
	{"incremental", "the stream has only what changed since a snapshot, which is not the newest one here; receive first what comes before it"},
	{"failed to read from stream", "the stream ends too early; send it again"},
	{"", "the stream is damaged or ends too early; send it again"},
}

// receiveFailure blames the stream for what zfs does not know a better name of.
func receiveFailure(err error) error {
	incremental := strings.Contains(err.Error(), "incremental")
	switch {
	case errors.Is(err, errBusy): // such as with the end of a receive that was killed
		return model.WrapError(model.KindUnavailable, err, "the dataset is busy")
	case model.IsKind(err, model.KindInternal), model.IsKind(err, model.KindNotFound) && incremental:
		for _, fault := range streamFaults {
			if strings.Contains(err.Error(), fault.said) {
				return model.WrapError(model.KindInvalid, err, "%s", fault.means)
			}
		}
	}
	return err
}

// watchedReader remembers an error of its reader.
type watchedReader struct {
	io.Reader
	failed error
}

// Read implements io.Reader.
func (r *watchedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && err != io.EOF {
		r.failed = err
	}
	return n, err
}

// patientWriter writes to a command that is killed when it takes nothing for
// too long.
type patientWriter struct {
	to       io.Writer
	patience time.Duration
	kill     func()
}

func (w patientWriter) Write(b []byte) (int, error) {
	impatient := time.AfterFunc(w.patience, w.kill)
	defer impatient.Stop()
	return w.to.Write(b)
}
