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
	// maxHanging commands may be stuck in the kernel before new ones are
	// refused: each holds a process and a goroutine.
	maxHanging = 16
	maxOutput  = 64 << 20
)

// Marks of errors that this package acts on itself.
var (
	errBusy    = errors.New("dataset is busy") // may pass by itself
	errMounted = errors.New("dataset is mounted already")
)

// runner runs zfs commands with a deadline.
type runner struct {
	command []string
	timeout time.Duration
	log     *slog.Logger
	hanging atomic.Int32
}

func newRunner(command []string, timeout time.Duration, log *slog.Logger) *runner {
	if len(command) == 0 {
		command = []string{"zfs"}
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &runner{command: command, timeout: timeout, log: log}
}

// zfs runs one command and returns what it printed. When the deadline or ctx
// ends it, it is killed and no longer waited for: a process that sleeps in the
// kernel dies when the kernel lets it, and not before.
func (r *runner) zfs(ctx context.Context, args ...string) (string, error) {
	if r.hanging.Load() >= maxHanging {
		return "", unavailable(fmt.Errorf("%d commands hang", maxHanging))
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	cmd := r.prepare(args...)
	stdout, stderr := &bounded{limit: maxOutput}, &bounded{limit: 4096}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return "", unavailable(fmt.Errorf("cannot run %s: %w", cmd.Path, err))
	}
	done := make(chan error, 1)
	r.hanging.Add(1)
	go func() {
		defer r.hanging.Add(-1)
		done <- cmd.Wait()
	}()
	select {
	case err := <-done:
		if err != nil {
			return "", classify(args[0], stderr.String(), err)
		}
		return stdout.String(), nil
	case <-ctx.Done():
		err := cmd.Process.Kill()
		r.log.Error("zfs command ended by its deadline", "op", "zfs "+args[0], "err", errors.Join(ctx.Err(), err))
		return "", unavailable(fmt.Errorf("zfs %s: %w", args[0], ctx.Err()))
	}
}

// prepare returns a command that was not started.
func (r *runner) prepare(args ...string) *exec.Cmd {
	argv := append(append([]string(nil), r.command...), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = time.Second
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
	case has("does not exist", "no such pool"):
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
	case has("pool I/O is currently suspended", "zfs-fuse daemon is running", "modules cannot be auto-loaded", "modules are not loaded"):
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
