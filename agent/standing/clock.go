package standing

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
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
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("cannot tell one boot of the machine from another: %w", err)
	}
	return machine{strings.TrimSpace(string(id))}, nil
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
