package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/runtime"
)

const (
	// haltPatience is how long a container may take to end when its machine goes
	// down, whatever it was promised for other times.
	haltPatience = time.Minute
	// haltLimit is how long all of them may take together, those included that
	// have to be killed.
	haltLimit = haltPatience + 15*time.Second
)

// Halt ends the containers of this machine, which is about to go down, and
// returns how many. The agent must not run: it would start them again. Each
// gets its stop signal, and is killed after its stop timeout or a minute. No
// user has asked for that, so after the boot their restart policies hold.
func Halt(ctx context.Context, cfg Config) (int, error) {
	if err := cfg.check(); err != nil {
		return 0, err
	}
	file := filepath.Join(cfg.StateDir, "agent.db")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return 0, nil // it never ran any
	}
	records, err := state.Open(file)
	if err != nil {
		return 0, err
	}
	known, err := records.Records()
	if err := errors.Join(err, records.Close()); err != nil {
		return 0, fmt.Errorf("cannot learn what runs here: %w", err)
	}
	specs := make(map[string]*state.Record, len(known))
	for i := range known {
		specs[known[i].Request.Container.ID] = &known[i]
	}
	how := func(id string) (syscall.Signal, time.Duration) {
		record, ok := specs[id]
		if !ok {
			return syscall.SIGTERM, haltPatience
		}
		signal, seconds := task.HowToStop(&record.Request.Container.Spec)
		if seconds < 0 || seconds > int(haltPatience/time.Second) {
			return signal, haltPatience
		}
		return signal, time.Duration(seconds) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, haltLimit)
	defer cancel()
	return runtime.Halt(ctx, cfg.runtime(), how)
}
