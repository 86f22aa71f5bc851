package logship

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

const (
	// leastPause and mostPause bound the time between two attempts to reach a
	// server.
	leastPause = 100 * time.Millisecond
	mostPause  = 30 * time.Second
	// saveEvery bounds what is sent again after the agent was killed.
	saveEvery = time.Second
	// lastTries is how often a server is tried to be reached once the container
	// has ended.
	lastTries = 2
)

// A run sends one container's log while the container runs.
type run struct {
	id      string
	dir     string
	watcher *jsonlog.Watcher
	door    door
	server  server
	format  format
	pause   time.Duration // least time between two attempts
	renew   time.Duration // age at which a connection is made anew; 0 is never
	logger  *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	ending chan struct{} // closed when the container has ended
	done   chan struct{}
	forget bool // the container goes, and the cursor with it; set before cancel

	// What follows belongs to the run's goroutine.
	place cursor // how far the log has arrived
	saved cursor
	when  time.Time // of the last save
	down  bool      // it was told that the server cannot be reached
}

func (s *Shipper) newRun(c Container, config *logopt.Config) (*run, error) {
	subject := subjectOf(c)
	logger := s.cfg.Logger.With("container", c.ID)
	tag, err := config.Tag(subject)
	if err != nil {
		logger.Warn("the tag of a log cannot be made; the container's id takes its place", "op", "ship", "err", err)
		tag = subject.ID()
	}
	format, err := newFormat(config, origin{subject, tag, config.Attributes(subject)})
	if err != nil {
		return nil, err
	}
	r := &run{
		id: c.ID, dir: c.LogDir, watcher: &s.logs, server: newServer(config), format: format, logger: logger, pause: leastPause,
		ending: make(chan struct{}), done: make(chan struct{}),
	}
	if config.GELF != nil {
		r.pause = max(r.pause, config.GELF.ReconnectDelay)
	}
	if config.Fluentd != nil {
		r.pause, r.renew = max(r.pause, config.Fluentd.RetryWait), config.Fluentd.ReconnectWait
	}
	if r.place, err = loadCursor(c.LogDir); err != nil {
		logger.Warn("it is not known how much of a log was sent; it is sent from its beginning", "op", "ship", "err", err)
	}
	r.saved = r.place
	if r.door, err = openDoor(c); err != nil {
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

func (r *run) begin() {
	go func() {
		defer close(r.done)
		defer r.door.close()
		r.work()
		if !r.forget {
			r.save()
		}
	}()
}

// finish stops the run when all was sent, at the latest when ctx ends.
func (r *run) finish(ctx context.Context) {
	close(r.ending)
	select {
	case <-r.done:
	case <-ctx.Done():
	}
	r.stop(true)
}

// stop stops the run and waits for it.
func (r *run) stop(keepCursor bool) {
	r.forget = !keepCursor
	r.cancel()
	<-r.done
}

func (r *run) isEnding() bool {
	select {
	case <-r.ending:
		return true
	default:
		return false
	}
}

// work sends until all was sent of a container that has ended, or the run is
// stopped. When a connection breaks it begins again where it is known to have arrived.
func (r *run) work() {
	pause := r.pause
	for tries := lastTries; tries > 0; {
		before := r.place
		err := r.session()
		if err == nil || r.ctx.Err() != nil {
			return
		}
		if r.place != before || errors.Is(err, errRenew) {
			pause = r.pause
		}
		if errors.Is(err, errRenew) {
			continue
		}
		if !r.down {
			r.logger.Warn("a log cannot be sent for the moment; it is tried again", "op", "ship", "err", err)
			r.down = true
		}
		if r.isEnding() {
			tries--
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-r.ending:
		case <-r.ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, max(mostPause, r.pause))
	}
}

// note remembers how far the log has arrived, and now and then saves it.
func (r *run) note(at cursor) {
	if r.place = at; at != r.saved && time.Since(r.when) >= saveEvery {
		r.save()
	}
}

func (r *run) save() {
	if r.place == r.saved {
		return
	}
	r.when = time.Now()
	if err := r.place.save(r.dir); err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // it is being removed
			r.logger.Warn("it cannot be written down how much of a log was sent", "op", "ship", "err", err)
		}
		return
	}
	r.saved = r.place
}

// lostText is what the server is told of lines that it never gets.
func lostText(n int64) []byte {
	return fmt.Appendf(nil, "spearhead: %d bytes of this container's log were dropped by rotation before they could be sent", n)
}
