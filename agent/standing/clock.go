package standing

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/bootid"
)

// Clock tells the time since the machine's boot, and which boot that was.
type Clock interface {
	Boot() string
	Now() time.Duration
}

// machine is the clock of this machine.
type machine struct{ boot string }

// Machine returns the clock of this machine.
func Machine() (Clock, error) {
	id, err := bootid.Read()
	if err != nil {
		return nil, err
	}
	return machine{id}, nil
}

// Boot implements Clock.
func (m machine) Boot() string { return m.boot }

// Now implements Clock.
func (machine) Now() time.Duration {
	var t unix.Timespec
	// It cannot fail: every Linux that runs containers has this clock.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano())
}
