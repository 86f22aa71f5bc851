package bench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// sleeper keeps a container there, doing nothing.
var sleeper = []string{"sleep", "1000000"}

// ms is a duration as the tables have it.
func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// life measures a container's whole life through the API, phase by phase. The request that
// waits for the end is made between creation and start, and is no phase.
func (s *stage) life(ctx context.Context, network string, rounds int) (*table, error) {
	kind := "NIC"
	if network != "" {
		kind = "no NIC"
	}
	return s.turns(rounds, func(e *engine, into *table) error {
		t0 := time.Now()
		id, err := e.create(ctx, network, "true")
		if err != nil {
			return err
		}
		t1 := time.Now()
		ended, err := e.wait(ctx, id)
		if err != nil {
			return err
		}
		t2 := time.Now()
		if err := e.start(ctx, id); err != nil {
			return err
		}
		t3 := time.Now()
		if err := ended(); err != nil {
			return err
		}
		t4 := time.Now()
		if err := e.remove(ctx, id); err != nil {
			return err
		}
		t5 := time.Now()
		into.add("life, "+kind+": create", "ms", e.name, ms(t1.Sub(t0)))
		into.add("life, "+kind+": start", "ms", e.name, ms(t3.Sub(t2)))
		into.add("life, "+kind+": exit seen", "ms", e.name, ms(t4.Sub(t3)))
		into.add("life, "+kind+": remove", "ms", e.name, ms(t5.Sub(t4)))
		into.add("life, "+kind+": all", "ms", e.name, ms(t1.Sub(t0)+t5.Sub(t2)))
		return nil
	})
}

// dockerRun measures the docker client's whole command.
func (s *stage) dockerRun(ctx context.Context, rounds int) (*table, error) {
	return s.turns(rounds, func(e *engine, into *table) error {
		command := exec.CommandContext(ctx, "docker", "run", "--rm", e.image, "true")
		command.Env = e.env
		begin := time.Now()
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: docker run: %w: %s", e.name, err, out)
		}
		into.add("docker run --rm", "ms", e.name, ms(time.Since(begin)))
		return nil
	})
}

// burst measures how many containers per second 8 clients create and start.
func (s *stage) burst(ctx context.Context, rounds, count int) (*table, error) {
	return s.turns(rounds, func(e *engine, into *table) error {
		begin := time.Now()
		if err := parallel(8, count, func(int) error { return e.startNew(ctx, "", sleeper...) }); err != nil {
			return err
		}
		into.add("create and start, 8 at once", "/s", e.name, float64(count)/time.Since(begin).Seconds())
		return e.sweep(ctx)
	})
}

// devUp measures how long a rack takes to come up, from nothing.
func (s *stage) devUp(ctx context.Context, work string, rounds int) (*table, error) {
	measured := &table{}
	for round := range rounds {
		dir := filepath.Join(work, fmt.Sprintf("rack-%d", round))
		begin := time.Now()
		if err := s.dev(ctx, "up", dir); err != nil {
			return nil, err
		}
		measured.add("spearhead dev up", "s", ours, time.Since(begin).Seconds())
		if err := s.dev(ctx, "down", dir); err != nil {
			return nil, err
		}
	}
	return measured, nil
}
