package bench

import (
	"context"
	"math"
	"time"
)

// memory measures what count idle containers with NICs add to the engine's own processes, and
// how large head and agent are with them. It is measured once: a daemon keeps what it grew by,
// so that a second round would find nothing added. A few containers before show each engine
// all that it does, so that only what is kept per container counts.
func (s *stage) memory(ctx context.Context, count int) (*table, error) {
	if _, err := s.life(ctx, "", 3); err != nil {
		return nil, err
	}
	return s.coldTurns(1, func(e *engine, into *table) error {
		before, err := e.settledMemory(ctx)
		if err != nil {
			return err
		}
		if err := parallel(4, count, func(int) error { return e.startNew(ctx, "", sleeper...) }); err != nil {
			return err
		}
		after, err := e.settledMemory(ctx)
		if err != nil {
			return err
		}
		into.add("memory of the engine, no containers (PSS)", "MiB", e.name, before/1024)
		into.add("memory per idle container (PSS)", "KiB", e.name, (after-before)/float64(count))
		if err := e.addResident(into); err != nil {
			return err
		}
		return e.sweep(ctx)
	})
}

// addResident tells the size of the daemons that should stay small.
func (e *engine) addResident(into *table) error {
	processes, err := e.processes()
	if err != nil {
		return err
	}
	for _, name := range []string{"head", "agent", "dockerd"} {
		kib, err := resident(processes, name)
		if err != nil {
			return err
		}
		if kib > 0 {
			into.add(name+" with idle containers (RSS)", "MiB", e.name, kib/1024)
		}
	}
	return nil
}

// settledMemory is the engine's memory in KiB (PSS) once it changes by less than one in a
// hundred within half a second, or after 8 seconds.
func (e *engine) settledMemory(ctx context.Context) (float64, error) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	last := 0.0
	for range 16 {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-ticker.C:
		}
		processes, err := e.processes()
		if err != nil {
			return 0, err
		}
		now, err := proportional(processes)
		if err != nil {
			return 0, err
		}
		if math.Abs(now-last) < now/100 {
			return now, nil
		}
		last = now
	}
	return last, nil
}
