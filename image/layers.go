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
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image/unpack"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
)

const (
	// parallelDownloads is how many layers of one pull are fetched at once; it
	// is Docker's number.
	parallelDownloads = 3
	// nodeTransfers is how many layers all pulls and pushes of a node move at
	// once.
	nodeTransfers = 16
)

// sizeLabel of a committed layer holds the bytes of the files in its archive.
const sizeLabel = "spearhead/size"

// chainIDs names the trees that layers build up, lowest first.
func chainIDs(diffIDs []string) []string {
	ids := make([]digest.Digest, len(diffIDs))
	for i, id := range diffIDs {
		ids[i] = digest.Digest(id)
	}
	chain := make([]string, len(ids))
	for i, id := range identity.ChainIDs(ids) {
		chain[i] = id.String()
	}
	return chain
}

// layers downloads the layers of an image side by side and unpacks them one
// upon the other, each as soon as it is there.
func (p *pull) layers(ctx context.Context, m ocispec.Manifest, image model.Image) error {
	chain := chainIDs(image.DiffIDs)
	group, ctx := errgroup.WithContext(ctx)
	slots := semaphore.NewWeighted(parallelDownloads)
	ready := make([]chan bool, len(m.Layers))
	for _, layer := range m.Layers {
		p.report.say(layer.Digest, StatusPulling)
	}
	for i, layer := range m.Layers {
		ready[i] = make(chan bool, 1)
		group.Go(func() error {
			if !slots.TryAcquire(1) {
				p.report.say(layer.Digest, StatusWaiting)
				if err := slots.Acquire(ctx, 1); err != nil {
					return err
				}
			}
			defer slots.Release(1)
			fresh, err := p.blob(ctx, layer)
			if err != nil {
				return err
			}
			ready[i] <- fresh
			return nil
		})
	}
	group.Go(func() error {
		parent := ""
		for i, layer := range m.Layers {
			var fresh bool
			select {
			case <-ctx.Done():
				return ctx.Err()
			case fresh = <-ready[i]:
			}
			if err := p.layer(ctx, layer, parent, chain[i], digest.Digest(image.DiffIDs[i]), fresh); err != nil {
				return err
			}
			parent = chain[i]
		}
		return nil
	})
	return group.Wait()
}

// layer makes the node hold one layer unpacked, and says what became of it.
func (p *pull) layer(ctx context.Context, desc ocispec.Descriptor, parent, name string, diffID digest.Digest, fresh bool) error {
	unlock, err := p.store.working.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := p.store.claim(ctx, "snapshots/"+p.store.snapshotter, name); err != nil {
		return err
	}
	_, err = p.store.layers.Stat(ctx, name)
	if err == nil {
		if err := p.store.matches(ctx, desc, diffID, p.limits); err != nil {
			return err
		}
		status := StatusExists
		if fresh {
			status = StatusPulled
		}
		p.report.say(desc.Digest, status)
		return nil
	}
	if !errdefs.IsNotFound(err) {
		return fmt.Errorf("cannot look for layer: %w", err)
	}
	if err := p.unpack(ctx, desc, parent, name, diffID); err != nil {
		return err
	}
	p.report.say(desc.Digest, StatusPulled)
	return nil
}

// unpack applies a layer to a snapshot of its parent and commits it.
func (p *pull) unpack(ctx context.Context, desc ocispec.Descriptor, parent, name string, diffID digest.Digest) error {
	s := p.store
	var undo revert.Stack
	defer undo.Revert()
	key := extractionPrefix + model.NewID()
	mounts, err := s.layers.Prepare(ctx, key, parent)
	if err != nil {
		return storageError("unpack a layer", err)
	}
	undo.Add(func() {
		if err := s.layers.Remove(context.WithoutCancel(ctx), key); err != nil {
			s.log.Error("half-unpacked layer stays until the next start", "op", "pull", "err", err)
		}
	})
	result, err := p.apply(ctx, desc, mounts, key)
	if err != nil {
		return err
	}
	if result.DiffID != diffID {
		return otherBytes()
	}
	if err := s.remember(ctx, desc.Digest, diffID); err != nil {
		return err
	}
	if err := failpoint.Hit("image.unpack.before-commit"); err != nil {
		return err
	}
	size := snapshots.WithLabels(map[string]string{sizeLabel: strconv.FormatInt(result.Size, 10)})
	if err := s.layers.Commit(ctx, name, key, size); err != nil {
		return storageError("commit a layer", err)
	}
	undo.Success()
	return nil
}

// apply mounts a layer's snapshot out of everyone's sight and unpacks into it.
func (p *pull) apply(ctx context.Context, desc ocispec.Descriptor, mounts []mount.Mount, key string) (result unpack.Result, err error) {
	s := p.store
	blob, err := s.content.ReaderAt(ctx, desc)
	if err != nil {
		return unpack.Result{}, fmt.Errorf("cannot open layer: %w", err)
	}
	defer blob.Close()
	dir := s.path("mounts", key)
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
	shown := &meter{reporter: p.report, layer: desc.Digest, status: StatusExtracting, total: desc.Size}
	source := &counter{r: io.NopCloser(io.NewSectionReader(blob, 0, blob.Size())), count: func(int64) {}, meter: shown}
	if result, err = unpack.Apply(ctx, dir, source, p.limits); err != nil {
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

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
