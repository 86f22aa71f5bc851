package zfs

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	cmd := p.run.prepare(append([]string{"send"}, args...)...)
	stderr := &bounded{limit: 4096}
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot send snapshot: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, unavailable(fmt.Errorf("cannot send snapshot: %w", err))
	}
	s := &sending{cmd: cmd, out: out, stderr: stderr, patience: p.run.timeout}
	s.unbind = context.AfterFunc(ctx, s.kill)
	return s, nil
}

// sending is a zfs send that runs.
type sending struct {
	cmd      *exec.Cmd
	out      io.ReadCloser
	stderr   *bounded
	patience time.Duration
	unbind   func() bool
	hung     atomic.Bool

	wait sync.Once
	err  error // of the command, once it has been waited for
}

func (s *sending) kill() { _ = s.cmd.Process.Kill() }

// Read implements io.Reader. Its patience is with zfs only: the time that the
// stream's reader takes between two calls does not count.
func (s *sending) Read(b []byte) (int, error) {
	impatient := time.AfterFunc(s.patience, func() {
		s.hung.Store(true)
		s.kill()
	})
	n, err := s.out.Read(b)
	impatient.Stop()
	if err == nil {
		return n, nil
	}
	if failed := s.end(); failed != nil {
		return n, failed
	}
	return n, io.EOF
}

func (s *sending) end() error {
	s.wait.Do(func() {
		s.unbind()
		err := s.cmd.Wait()
		switch {
		case s.hung.Load():
			s.err = unavailable(errHangs)
		case err != nil:
			s.err = classify("send", s.stderr.String(), err)
		}
	})
	return s.err
}

// Close ends the command if it still runs. What became of it a reader has
// learned from Read.
func (s *sending) Close() error {
	s.kill()
	_ = s.end()
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
	args := append([]string{"receive", "-u", "-F"}, options...)
	cmd := p.run.prepare(append(args, p.full(name))...)
	stderr := &bounded{limit: 4096}
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("cannot receive stream: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return unavailable(fmt.Errorf("cannot receive stream: %w", err))
	}
	kill := func() { _ = cmd.Process.Kill() }
	unbind := context.AfterFunc(ctx, kill)
	defer unbind()
	var hung atomic.Bool
	giveUp := func() {
		hung.Store(true)
		kill()
	}
	source := &watchedReader{Reader: stream}
	_, copied := io.Copy(patientWriter{in, p.run.timeout, giveUp}, source)
	_ = in.Close() // zfs may have ended already
	ending := time.AfterFunc(p.run.timeout, giveUp)
	err = cmd.Wait()
	ending.Stop()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case hung.Load():
		return unavailable(errHangs)
	case source.failed != nil: // zfs only knows that the stream has ended early
		return fmt.Errorf("cannot receive stream: %w", source.failed)
	case copied != nil && !errors.Is(copied, io.ErrClosedPipe) && err == nil:
		return fmt.Errorf("cannot receive stream: %w", copied)
	case err != nil:
		return receiveFailure(classify("receive", stderr.String(), errors.Join(err, copied)))
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
