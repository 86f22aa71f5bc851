package image

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// recover brings the store back to order after a crash.
func (s *Store) recover(ctx context.Context) error {
	if err := s.dropExtractions(ctx); err != nil {
		return err
	}
	if err := s.dropOnce(ctx); err != nil {
		return err
	}
	if err := s.stir(ctx); err != nil {
		return err
	}
	if err := s.CollectGarbage(ctx); err != nil {
		return err
	}
	if err := emptyTrash(s.path("trash")); err != nil {
		return err
	}
	roots, err := s.drive.list(ctx)
	if err != nil {
		return err
	}
	s.roots = roots
	return nil
}

// extractionPrefix begins the keys of snapshots that a layer is being unpacked
// into, and the names of the directories that they are mounted on.
const extractionPrefix = "extract-"

// dropExtractions removes half-unpacked layers: nothing can be known of what
// they hold.
func (s *Store) dropExtractions(ctx context.Context) error {
	mounted, err := filepath.Glob(s.path("mounts", extractionPrefix+"*"))
	if err != nil {
		return fmt.Errorf("cannot list mounts: %w", err)
	}
	for _, dir := range mounted {
		if err := unmountAndRemove(dir); err != nil {
			return err
		}
	}
	var stale []string
	err = s.layers.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if strings.HasPrefix(info.Name, extractionPrefix) {
			stale = append(stale, info.Name)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot list layers: %w", err)
	}
	for _, key := range stale {
		if err := s.layers.Remove(ctx, key); err != nil {
			return fmt.Errorf("cannot remove half-unpacked layer: %w", err)
		}
	}
	return nil
}

// stir makes and removes a snapshot and a blob. It shows that the storage
// works, and it makes the next collection look for what a crash left in either
// store without a trace in the database: it only looks after a removal.
func (s *Store) stir(ctx context.Context) error {
	key := extractionPrefix + model.NewID()
	if _, err := s.layers.Prepare(ctx, key, ""); err != nil {
		return fmt.Errorf("cannot make a trial layer: %w", err)
	}
	if err := s.layers.Remove(ctx, key); err != nil {
		return fmt.Errorf("cannot remove the trial layer: %w", err)
	}
	trial := []byte(key)
	desc := ocispec.Descriptor{Digest: digest.FromBytes(trial), Size: int64(len(trial))}
	if err := content.WriteBlob(ctx, s.content, key, bytes.NewReader(trial), desc); err != nil {
		return fmt.Errorf("cannot write a trial blob: %w", err)
	}
	if err := s.content.Delete(ctx, desc.Digest); err != nil {
		return fmt.Errorf("cannot remove the trial blob: %w", err)
	}
	return nil
}

func emptyTrash(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot read trash: %w", err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("cannot empty trash: %w", err)
		}
	}
	return nil
}
