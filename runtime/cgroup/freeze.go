package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Freezing is how far a group's processes are held back.
type Freezing int

// The kernel takes some time from Thawed over Holding to Frozen, as each
// process stops at the next place where it may.
const (
	Thawed Freezing = iota
	Holding
	Frozen
)

// Freezing tells whether the group's processes are held back, by itself or by
// a group above it.
func (g Group) Freezing() (Freezing, error) {
	if g.Version == 1 {
		state, err := read(g.file("freezer", "freezer.state"))
		return map[string]Freezing{"FREEZING": Holding, "FROZEN": Frozen}[state], err
	}
	events, err := table(g.file("", "cgroup.events"))
	if err != nil {
		return Thawed, err
	}
	if events["frozen"] == 1 {
		return Frozen, nil
	}
	if asked, err := read(g.file("", "cgroup.freeze")); err != nil || asked != "1" {
		return Thawed, err
	}
	return Holding, nil
}

// Version 1 is asked again and again how far it is: it has no event for that. A
// wait for version 2's event only looks after its context in between.
const (
	freezeTick  = 2 * time.Millisecond
	contextTick = 50 * time.Millisecond
)

// Freeze holds all processes of the group back and returns when they are. If
// ctx ends before, they go on.
func (g Group) Freeze(ctx context.Context) error {
	if err := g.freeze(); err != nil {
		return fmt.Errorf("cannot freeze processes: %w", err)
	}
	wait := g.awaitEvent
	if g.Version == 1 {
		wait = g.awaitTick
	}
	if err := wait(ctx); err != nil {
		return fmt.Errorf("cannot freeze processes: %w", errors.Join(err, g.Thaw()))
	}
	return nil
}

func (g Group) awaitTick(ctx context.Context) error {
	tick := time.NewTicker(freezeTick)
	defer tick.Stop()
	for {
		state, err := g.Freezing()
		if err != nil || state == Frozen {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		// What was forked meanwhile may hold it up until it is asked again.
		if err := g.freeze(); err != nil {
			return err
		}
	}
}

// awaitEvent waits as poll(2) lets those wait who have read the file.
func (g Group) awaitEvent(ctx context.Context) error {
	f, err := os.Open(g.file("", "cgroup.events"))
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 4096)
	for {
		n, err := f.ReadAt(buf, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if parseTable(string(buf[:n]))["frozen"] == 1 {
			return nil
		}
		changed := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
		if _, err := unix.Poll(changed, int(contextTick.Milliseconds())); err != nil && err != unix.EINTR {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Thaw lets the group's processes go on. It is no error if they do already,
// or if there is no such group any more.
func (g Group) Thaw() error {
	path, value := g.file("freezer", "freezer.state"), "THAWED"
	if g.Version == 2 {
		path, value = g.file("", "cgroup.freeze"), "0"
	}
	if err := write(path, value); err != nil && !isGone(err) {
		return fmt.Errorf("cannot thaw processes: %w", err)
	}
	return nil
}

func (g Group) freeze() error {
	if g.Version == 2 {
		return write(g.file("", "cgroup.freeze"), "1")
	}
	return write(g.file("freezer", "freezer.state"), "FROZEN")
}
