package image

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"

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
// upon the other, each while it comes.
func (p *pull) layers(ctx context.Context, m ocispec.Manifest, image model.Image) error {
	chain := chainIDs(image.DiffIDs)
	group, ctx := errgroup.WithContext(ctx)
	slots := semaphore.NewWeighted(parallelDownloads)
	arrivals := make([]*arrival, len(m.Layers))
	for _, layer := range m.Layers {
		p.report.say(layer.Digest, StatusPulling)
	}
	for i, layer := range m.Layers {
		arrivals[i] = newArrival()
		group.Go(func() error { return p.fetchLayer(ctx, slots, layer, arrivals[i]) })
	}
	group.Go(func() error {
		parent := ""
		for i, layer := range m.Layers {
			if err := p.stack(ctx, layer, arrivals[i], parent, chain[i], digest.Digest(image.DiffIDs[i])); err != nil {
				return err
			}
			parent = chain[i]
		}
		return nil
	})
	err := group.Wait()
	for _, a := range arrivals {
		a.close()
	}
	return err
}

// fetchLayer gets one layer when it is its turn.
func (p *pull) fetchLayer(ctx context.Context, slots *semaphore.Weighted, layer ocispec.Descriptor, a *arrival) error {
	if !slots.TryAcquire(1) {
		p.report.say(layer.Digest, StatusWaiting)
		if err := slots.Acquire(ctx, 1); err != nil {
			return err
		}
	}
	moved := sync.OnceFunc(func() { slots.Release(1) })
	defer moved()
	return p.blob(ctx, layer, a, moved)
}

// stack makes the node hold one layer unpacked upon its parent, as soon as it
// can.
func (p *pull) stack(ctx context.Context, desc ocispec.Descriptor, a *arrival, parent, name string, diffID digest.Digest) error {
	if err := p.store.claim(ctx, "snapshots/"+p.store.snapshotter, name); err != nil {
		return err
	}
	there, err := p.store.unpacked(ctx, name)
	if err != nil {
		return err
	}
	if !there {
		along, err := a.follow(ctx)
		if err != nil {
			return err
		}
		if along {
			return p.unpackAlong(ctx, desc, a, parent, name, diffID)
		}
	}
	fresh, err := a.whole(ctx)
	if err != nil {
		return err
	}
	return p.layer(ctx, desc, parent, name, diffID, fresh)
}

// unpackAlong unpacks a layer while it comes. Nobody else has to wait for that
// but who wants the same blob: the lock of the tree is taken when it is made, so
// that a registry which sends slowly holds up nobody's layers.
func (p *pull) unpackAlong(ctx context.Context, desc ocispec.Descriptor, a *arrival, parent, name string, diffID digest.Digest) error {
	defer a.leave()
	shown := &meter{reporter: p.report, layer: desc.Digest, status: StatusExtracting, total: desc.Size}
	made, err := p.extract(ctx, &arrivalReader{ctx: ctx, from: a, meter: shown}, parent)
	if model.IsKind(err, model.KindInvalid) {
		// What came may be other bytes than it should, which says more.
		if _, failed := a.whole(ctx); failed != nil {
			return failed
		}
	}
	if err != nil {
		return err
	}
	unlock, err := p.store.working.lock(ctx, treeKey(name))
	if err != nil {
		made.undo.Revert()
		return err
	}
	defer unlock()
	if err := made.keep(ctx, desc, name, diffID); err != nil {
		return err
	}
	p.report.say(desc.Digest, StatusPulled)
	return nil
}

// treeKey is what the lock of a tree is called: a tree of one layer that is not
// packed has the digest of its blob, whose lock is another.
func treeKey(name string) string { return "tree " + name }

// unpacked tells whether a tree of layers is here.
func (s *Store) unpacked(ctx context.Context, name string) (bool, error) {
	_, err := s.layers.Stat(ctx, name)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look for layer: %w", err)
	}
	return true, nil
}

// layer makes the node hold one layer unpacked whose blob is here, and says what
// became of it. The tree is claimed.
func (p *pull) layer(ctx context.Context, desc ocispec.Descriptor, parent, name string, diffID digest.Digest, fresh bool) error {
	unlock, err := p.store.working.lock(ctx, treeKey(name))
	if err != nil {
		return err
	}
	defer unlock()
	there, err := p.store.unpacked(ctx, name)
	if err != nil {
		return err
	}
	if there {
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
	if err := p.unpack(ctx, desc, parent, name, diffID); err != nil {
		return err
	}
	p.report.say(desc.Digest, StatusPulled)
	return nil
}

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
