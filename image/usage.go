package image

import (
	"context"
	"fmt"
	"strconv"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/opencontainers/go-digest"
)

// Usage is what images take of the node's disk, in bytes.
type Usage struct {
	Blobs  map[string]int64 // by digest
	Layers map[string]int64 // the files of unpacked layers, by chain id
}

// Usage tells what the content of images takes, whether an image holds it or it
// waits for the next collection. Layers were measured when they were unpacked:
// to ask costs a look into the database, not a walk over the disk.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	ctx = scoped(ctx)
	usage := Usage{Blobs: make(map[string]int64), Layers: make(map[string]int64)}
	err := s.content.Walk(ctx, func(info content.Info) error {
		usage.Blobs[info.Digest.String()] = info.Size
		return nil
	})
	if err != nil {
		return Usage{}, fmt.Errorf("cannot list content: %w", err)
	}
	err = s.layers.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if info.Kind != snapshots.KindCommitted || digest.Digest(info.Name).Validate() != nil {
			return nil
		}
		size, err := strconv.ParseInt(info.Labels[sizeLabel], 10, 64)
		if err != nil {
			return fmt.Errorf("cannot read the size of a layer: %w", err)
		}
		usage.Layers[info.Name] = size
		return nil
	})
	if err != nil {
		return Usage{}, fmt.Errorf("cannot list layers: %w", err)
	}
	return usage, nil
}
