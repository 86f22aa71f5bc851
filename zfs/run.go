package zfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

const (
	defaultTimeout = 30 * time.Second
	// maxAtOnce commands run at once; others wait. Once so many are stuck in the
	// kernel, new ones are refused: each holds a process and a goroutine.
	maxAtOnce = 16
	maxOutput = 64 << 20
	// stuckAfter is how long what was killed may take to die before the storage
	// is to blame: it ends at once, unless it sleeps in the kernel.
	stuckAfter = 5 * time.Second
)

// Marks of errors that this package acts on itself.
var (
	errBusy    = errors.New("dataset is busy") // may pass by itself
	errMounted = errors.New("dataset is mounted already")
)

// ErrSuspended is in the error's chain where the pool has stopped all work,
// because its disks fail (zpoolconcepts(7), "failmode").
var ErrSuspended = errors.New("pool is suspended")

// runner runs zfs commands, and questions to file systems, with a deadline.
type runner struct {
	command []string
	timeout time.Duration
	log     *slog.Logger
	slots   chan struct{} // one for each that runs, until it ends
	hanging atomic.Int32  // of those, the ones that nobody waits for any more
	stuck   atomic.Int32  // of those, the ones that have outlived being given up by stuckAfter
}

func newRunner(command []string, timeout time.Duration, log *slog.Logger) *runner {
	if len(command) == 0 {
		command = []string{"zfs"}
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &runner{command: command, timeout: timeout, log: log, slots: make(chan struct{}, maxAtOnce)}
}

// zfs runs one command and returns what it printed. When the deadline or ctx
// ends it, it is killed and no longer waited for: a process that sleeps in the
// kernel dies when the kernel lets it, and not before.
func (r *runner) zfs(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if err := r.enter(ctx); err != nil {
		return "", err
	}
	cmd := r.prepare(args...)
	stdout, stderr := &bounded{limit: maxOutput}, &bounded{limit: 4096}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		<-r.slots
		return "", unavailable(fmt.Errorf("cannot run %s: %w", cmd.Path, err))
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		<-r.slots
		if err != nil {
			return "", classify(args[0], stderr.String(), err)
		}
		return stdout.String(), nil
	case <-ctx.Done():
		err := cmd.Process.Kill()
		leave(r, done)
		r.log.Error("zfs command ended by its deadline", "op", "zfs "+args[0], "err", errors.Join(ctx.Err(), err))
		return "", unavailable(fmt.Errorf("zfs %s: %w", args[0], ctx.Err()))
	}
}

// look asks the kernel about a file system, which hangs where that does. When
// the deadline or ctx ends it is left behind, as a command is.
func (r *runner) look(ctx context.Context, ask func() bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if err := r.enter(ctx); err != nil {
		return false, err
	}
	answer := make(chan bool, 1)
	go func() { answer <- ask() }()
	select {
	case yes := <-answer:
		<-r.slots
		return yes, nil
	case <-ctx.Done():
		leave(r, answer)
		return false, unavailable(fmt.Errorf("the file system does not answer: %w", ctx.Err()))
	}
}

// enter takes a slot. It does not wait where all are held by what hangs.
func (r *runner) enter(ctx context.Context) error {
	if r.hanging.Load() >= maxAtOnce {
		return unavailable(fmt.Errorf("%d commands hang", maxAtOnce))
	}
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(fmt.Errorf("%d commands run already: %w", maxAtOnce, ctx.Err()))
	}
}

// leave stops waiting for what runs in a slot, which it gives back at its end.
func leave[T any](r *runner, end <-chan T) {
	r.hanging.Add(1)
	go func() {
		grace := time.NewTimer(stuckAfter)
		defer grace.Stop()
		select {
		case <-end:
		case <-grace.C:
			r.stuck.Add(1)
			<-end
			r.stuck.Add(-1)
		}
		r.hanging.Add(-1)
		<-r.slots
	}()
}

// prepare returns a command that was not started.
func (r *runner) prepare(args ...string) *exec.Cmd {
	argv := append(append([]string(nil), r.command...), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = 5 * time.Second // on a busy machine it takes a while to read what a process that has ended said
	return cmd
}

func unavailable(cause error) error {
	return model.WrapError(model.KindUnavailable, cause, "the node's storage does not answer; try again later")
}

// classify turns what zfs printed into an error with a kind. The texts are the
// same in OpenZFS and zfs-fuse.
func classify(verb, stderr string, err error) error {
	text := strings.TrimSpace(stderr)
	cause := fmt.Errorf("zfs %s: %s: %w", verb, text, err)
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	switch {
	case has("does not exist", "no such pool", "could not find any snapshots"):
		return model.WrapError(model.KindNotFound, cause, "no such dataset")
	case has("already mounted"):
		return model.WrapError(model.KindConflict, errors.Join(errMounted, cause), "the dataset is mounted already")
	case has("already exists"):
		return model.WrapError(model.KindConflict, cause, "the dataset exists already")
	case has("has dependent clones", "has children"):
		return model.WrapError(model.KindConflict, cause, "the dataset is in use by a clone")
	case has("is busy", "resource busy"):
		return model.WrapError(model.KindConflict, errors.Join(errBusy, cause), "the dataset is busy")
	case has("out of space", "quota exceeded", "No space left"):
		return model.WrapError(model.KindExhausted, cause, "no space left on the node's storage")
	case has("pool I/O is currently suspended"):
		return model.WrapError(model.KindUnavailable, errors.Join(ErrSuspended, cause), "the node's storage is suspended, because its disks fail; your operator can tell more")
	case has("zfs-fuse daemon is running", "modules cannot be auto-loaded", "modules are not loaded"):
		return unavailable(cause)
	}
	return model.WrapError(model.KindInternal, cause, "the node's storage refused to %s", verb)
}

// bounded keeps the first bytes of what is written to it and drops the rest.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if keep := b.limit - b.Len(); keep > 0 {
		b.Buffer.Write(p[:min(keep, len(p))])
	}
	return len(p), nil
}
