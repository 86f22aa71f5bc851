package iod

import (
	"context"
	"log/slog"
)

// Config says where the supervisor keeps its things.
type Config struct {
	RunDir   string // sockets, FIFOs and the records of what runs
	StateDir string // logs and exit records
	Logger   *slog.Logger
}

// Main serves until ctx ends. Containers run on without it.
func Main(ctx context.Context, cfg Config) error { return nil }
