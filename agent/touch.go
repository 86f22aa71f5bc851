package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// touchInterval is how often the storage is asked to write. What is free it
// says far more often, for that costs nothing.
const touchInterval = 10 * time.Second

// toucher finds out whether storage writes. How much is free, and nearly all
// else, the kernel tells from memory, also of disks that fell silent long ago;
// only who waits for a write learns of that.
type toucher struct {
	write func() error // returns when the disks have it

	due  time.Time  // when to touch again
	last chan error // of the write whose end nobody has seen; nil is none
}

// touch has the storage write a little if that is due, and waits for it until
// ctx ends. A write that hangs cannot be ended: it is left behind, the next
// call waits for it instead of beginning another, so that there is never more
// than one. Not for several goroutines at once.
func (t *toucher) touch(ctx context.Context) error {
	if t.last == nil {
		if time.Now().Before(t.due) {
			return nil
		}
		t.last = make(chan error, 1)
		go func(end chan<- error) { end <- t.write() }(t.last)
	}
	select {
	case err := <-t.last:
		t.last = nil
		t.due = time.Now().Add(touchInterval)
		return err
	case <-ctx.Done():
		return fmt.Errorf("the storage does not take what is written: %w", ctx.Err())
	}
}

// touchFile writes over a small file and waits until the disks have it. Storage
// that has no room answers, and is well as far as this is about.
func touchFile(path string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_DSYNC|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		_, err = unix.Pwrite(fd, []byte(time.Now().UTC().Format(time.RFC3339)), 0)
		err = errors.Join(err, unix.Close(fd))
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot write to the storage: %w", err)
	}
	return nil
}

// touchName is the file that is written over; no image or volume has its name.
const touchName = ".alive"

func (p *parts) openToucher() {
	dir := p.stateDir
	if p.pool != nil {
		dir = p.pool.Root()
	}
	p.touch = &toucher{write: func() error { return touchFile(filepath.Join(dir, touchName)) }}
}

// freeDisk is how many bytes containers can still fill. It is an error if the
// storage does not say so, does not write, or holds commands of ours that were
// given up.
func (p *parts) freeDisk(ctx context.Context) (free int64, err error) {
	if p.pool == nil {
		_, free, err = diskSpace(p.stateDir)
	} else {
		_, free, err = p.pool.Space(ctx)
	}
	if err != nil {
		return 0, err
	}
	if err := p.touch.touch(ctx); err != nil {
		return 0, err
	}
	if p.pool != nil && p.pool.Stuck() > 0 {
		return 0, fmt.Errorf("%d commands hang in the kernel", p.pool.Stuck())
	}
	return free, nil
}
