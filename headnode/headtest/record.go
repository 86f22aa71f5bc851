package headtest

import (
	"log/slog"
	"strings"
	"sync"
)

// record is a log that is kept.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// Logged is what the head has logged, at every level.
func (c *Center) Logged() string {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.log.text.String()
}

// Logger writes to what Logged returns.
func (c *Center) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
