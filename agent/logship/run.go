package logship

import (
	"context"
	"log/slog"

	"github.com/spearheadcloud/spearhead/internal/logopt"
)

// A run sends one container's log.
type run struct {
	config *logopt.Config
	logger *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
}

func newRun(cfg Config, c Container, config *logopt.Config) (*run, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{config: config, logger: cfg.Logger.With("container", c.ID), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		<-ctx.Done()
	}()
	return r, nil
}

// finish stops the run when all was sent, at the latest when ctx ends.
func (r *run) finish(ctx context.Context) { r.stop() }

// stop stops the run and waits for it.
func (r *run) stop() {
	r.cancel()
	<-r.done
}
