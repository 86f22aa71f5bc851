package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image/unpack"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
)

// unpack applies a layer to a snapshot of its parent and commits it.
func (p *pull) unpack(ctx context.Context, desc ocispec.Descriptor, parent, name string, diffID digest.Digest) error {
	blob, err := p.store.content.ReaderAt(ctx, desc)
	if err != nil {
		return fmt.Errorf("cannot open layer: %w", err)
	}
	defer blob.Close()
	shown := &meter{reporter: p.report, layer: desc.Digest, status: StatusExtracting, total: desc.Size}
	source := &counter{r: io.NopCloser(io.NewSectionReader(blob, 0, blob.Size())), count: func(int64) {}, meter: shown}
	made, err := p.extract(ctx, source, parent)
	if err != nil {
		return err
	}
	return made.keep(ctx, desc, name, diffID)
}

// extraction is a layer that is unpacked where nobody sees it. It has to be kept
// or undone.
type extraction struct {
	store  *Store
	key    string
	result unpack.Result
	undo   revert.Stack
}

// extract applies a layer to a snapshot of its parent.
func (p *pull) extract(ctx context.Context, layer io.Reader, parent string) (*extraction, error) {
	s := p.store
	e := &extraction{store: s, key: extractionPrefix + model.NewID()}
	mounts, err := s.layers.Prepare(ctx, e.key, parent)
	if err != nil {
		return nil, storageError("unpack a layer", err)
	}
	e.undo.Add(func() {
		if err := s.layers.Remove(context.WithoutCancel(ctx), e.key); err != nil {
			s.log.Error("half-unpacked layer stays until the next start", "op", "pull", "err", err)
		}
	})
	if e.result, err = p.apply(ctx, layer, mounts, e.key); err != nil {
		e.undo.Revert()
		return nil, err
	}
	return e, nil
}

// keep gives the layer its name, if it unpacked to what it should and nothing has
// that name: the same tree can come packed in several ways. The caller has the
// tree's lock.
func (e *extraction) keep(ctx context.Context, desc ocispec.Descriptor, name string, diffID digest.Digest) error {
	defer e.undo.Revert()
	if e.result.DiffID != diffID {
		return otherBytes()
	}
	if err := e.store.remember(ctx, desc.Digest, diffID); err != nil {
		return err
	}
	if there, err := e.store.unpacked(ctx, name); there || err != nil {
		return err
	}
	if err := failpoint.Hit("image.unpack.before-commit"); err != nil {
		return err
	}
	size := snapshots.WithLabels(map[string]string{sizeLabel: strconv.FormatInt(e.result.Size, 10)})
	if err := e.store.layers.Commit(ctx, name, e.key, size); err != nil {
		return storageError("commit a layer", err)
	}
	e.undo.Success()
	return nil
}

// apply mounts a layer's snapshot out of everyone's sight and unpacks into it.
func (p *pull) apply(ctx context.Context, layer io.Reader, mounts []mount.Mount, key string) (result unpack.Result, err error) {
	dir := p.store.path("mounts", key)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return unpack.Result{}, fmt.Errorf("cannot make mountpoint: %w", err)
	}
	defer func() { err = errors.Join(err, unmountAndRemove(dir)) }()
	if err := mount.All(mounts, dir); err != nil {
		return unpack.Result{}, fmt.Errorf("cannot mount layer: %w", err)
	}
	if err := failpoint.Hit("image.unpack.mounted"); err != nil {
		return unpack.Result{}, err
	}
	if result, err = unpack.Apply(ctx, dir, layer, p.limits); err != nil {
		return unpack.Result{}, err
	}
	return result, syncTree(dir)
}

// syncTree writes a layer to the disk before the database says that it is
// there: a power cut must not leave a layer of empty files.
func syncTree(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open layer: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Syncfs(fd); err != nil {
		return storageError("write a layer to the disk", err)
	}
	return nil
}
