package image

import (
	"context"
	"log/slog"

	"github.com/spearheadcloud/spearhead/model"
)

// Config says where a Store lives and on what.
type Config struct {
	Root               string   // directory of its own, made when missing
	Snapshotter        string   // "overlay" or "zfs"
	Datasets           Datasets // needed by zfs; optional for overlay: containers' writable layers
	InsecureRegistries []string // host[:port] or CIDR: plain HTTP and private addresses are fine there
	Logger             *slog.Logger
}

// Store holds images and roots of containers on one node.
type Store struct{}

// Open opens the store below cfg.Root.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	return nil, model.Errorf(model.KindNotImplemented, "images are not built yet")
}

// Close ends the store's work; roots stay mounted.
func (s *Store) Close() error { return nil }

// Get returns an image that the node holds whole, or KindNotFound.
func (s *Store) Get(ctx context.Context, imageID string) (model.Image, error) {
	return model.Image{}, nil
}

// List returns the ids of all images that the node holds whole.
func (s *Store) List(ctx context.Context) ([]string, error) { return nil, nil }

// Remove forgets an image and gives its space back; KindConflict while a root uses it.
func (s *Store) Remove(ctx context.Context, imageID string) error { return nil }

// CollectGarbage removes what nothing refers to.
func (s *Store) CollectGarbage(ctx context.Context) error { return nil }

// DiskQuota reports whether roots are held to their quota.
func (s *Store) DiskQuota() bool { return false }

// PrepareRoot makes the root of a container from an image; quota in bytes, 0 is none.
func (s *Store) PrepareRoot(ctx context.Context, containerID, imageID string, quota int64) error {
	return nil
}

// MountRoot mounts the root of a container and returns its path.
func (s *Store) MountRoot(ctx context.Context, containerID string) (string, error) { return "", nil }

// UnmountRoot undoes MountRoot.
func (s *Store) UnmountRoot(ctx context.Context, containerID string) error { return nil }

// RemoveRoot removes the root of a container and all that was written to it.
func (s *Store) RemoveRoot(ctx context.Context, containerID string) error { return nil }

// Roots lists the containers that have a root here.
func (s *Store) Roots(ctx context.Context) ([]string, error) { return nil, nil }
