package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/image/registry"
	"github.com/spearheadcloud/spearhead/model"
)

// parallelUploads is how many layers of one push are sent at once; it is
// Docker's number.
const parallelUploads = 5

// PushRequest names an image of this node, what it shall be at a registry, and
// how the user is known there. The credentials live as long as the request;
// they are not stored or logged.
type PushRequest struct {
	ImageID     string
	Ref         string // with a tag; without one it is latest
	Credentials registry.Credentials
}

// Push sends an image to a registry, byte for byte as it was pulled or made,
// and returns the descriptor of its manifest there. What the registry has, in
// this repository or in another one that the blob is known from, is not sent.
// The manifest goes last, so that the name never points to half an image.
//
// A registry that cannot be reached is asked again a few times. Errors have
// the kinds and the texts that package registry gives them; an image that the
// node does not hold is KindNotFound.
func (s *Store) Push(ctx context.Context, r PushRequest, progress func(Progress)) (ocispec.Descriptor, error) {
	ref, err := parseRef(r.Ref)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if _, ok := ref.(reference.Digested); ok {
		return ocispec.Descriptor{}, model.Errorf(model.KindInvalid, "cannot push a digest reference")
	}
	image, err := s.Get(ctx, r.ImageID)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	client, err := s.policy.NewClient(ref, r.Credentials, registry.Push)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer client.Close()
	leased, release, err := s.lease(scoped(ctx), "push "+ref.String())
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	p := &push{store: s, client: client, ref: ref, image: image, report: &reporter{send: progress}}
	desc, err := p.run(leased)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	release(nil) // a push leaves nothing here to go on from
	return desc, err
}

// push is one push under way.
type push struct {
	store  *Store
	client *registry.Client
	ref    reference.Named
	image  model.Image
	report *reporter
}

func (p *push) run(ctx context.Context) (ocispec.Descriptor, error) {
	desc, m, err := p.claim(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := p.layers(ctx, m); err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, part := range []ocispec.Descriptor{m.Config, desc} {
		if _, err := p.blob(ctx, part, func(int64) {}); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	return desc, nil
}

// claim holds on to all parts of the image while they are sent, and reads its
// manifest.
func (p *push) claim(ctx context.Context) (ocispec.Descriptor, ocispec.Manifest, error) {
	s, target := p.store, ocispec.Descriptor{MediaType: p.image.MediaType, Digest: digest.Digest(p.image.Digest)}
	if err := s.claim(ctx, "content", p.image.Digest); err != nil {
		return target, ocispec.Manifest{}, err
	}
	info, err := s.content.Info(ctx, target.Digest)
	if err != nil {
		return target, ocispec.Manifest{}, p.gone(err)
	}
	target.Size = info.Size
	data, err := content.ReadBlob(ctx, s.content, target)
	if err != nil {
		return target, ocispec.Manifest{}, p.gone(err)
	}
	m, err := manifest.Parse(data, target.MediaType)
	if err != nil {
		return target, m, err
	}
	for _, part := range append([]ocispec.Descriptor{m.Config}, m.Layers...) {
		if _, err := s.claimBlob(ctx, part.Digest); err != nil {
			return target, m, p.gone(err)
		}
	}
	return target, m, nil
}

// gone explains that a part of the image is not here any more.
func (p *push) gone(err error) error {
	if errdefs.IsNotFound(err) {
		return noSuchImage(p.image.ID)
	}
	return fmt.Errorf("cannot read a part of the image: %w", err)
}

// layers sends the layers side by side, each once.
func (p *push) layers(ctx context.Context, m ocispec.Manifest) error {
	group, ctx := errgroup.WithContext(ctx)
	slots := semaphore.NewWeighted(parallelUploads)
	sent := make(map[digest.Digest]bool)
	for i := range m.Layers {
		p.report.say(p.diffID(i), StatusPreparing)
	}
	for i, layer := range m.Layers {
		if sent[layer.Digest] {
			continue
		}
		sent[layer.Digest] = true
		group.Go(func() error {
			if !slots.TryAcquire(1) {
				p.report.say(p.diffID(i), StatusWaiting)
				if err := slots.Acquire(ctx, 1); err != nil {
					return err
				}
			}
			defer slots.Release(1)
			if err := p.store.transfers.Acquire(ctx, 1); err != nil {
				return err
			}
			defer p.store.transfers.Release(1)
			return p.layer(ctx, layer, p.diffID(i))
		})
	}
	return group.Wait()
}

// diffID is what a layer is called in a push: Docker calls it so too.
func (p *push) diffID(layer int) digest.Digest { return digest.Digest(p.image.DiffIDs[layer]) }

func (p *push) layer(ctx context.Context, layer ocispec.Descriptor, name digest.Digest) error {
	shown := &meter{reporter: p.report, layer: name, status: StatusPushing, total: layer.Size}
	place, err := p.blob(ctx, layer, shown.at)
	switch {
	case err != nil:
		return err
	case place.MountedFrom != "":
		p.report.say(name, StatusMounted+place.MountedFrom)
	case place.Existed:
		p.report.say(name, StatusPushExisted)
	default:
		p.report.say(name, StatusPushed)
	}
	p.store.noteSource(ctx, layer.Digest, p.ref)
	return nil
}

// blob sends one part of the image and tells of the bytes on the way.
func (p *push) blob(ctx context.Context, desc ocispec.Descriptor, at func(int64)) (place registry.Placement, err error) {
	info, err := p.store.content.Info(ctx, desc.Digest)
	if err != nil {
		return place, p.gone(err)
	}
	desc.URLs, desc.Data, desc.Annotations = nil, nil, sources(info.Labels)
	err = retried(ctx, func() error {
		w := watch(ctx, p.store.stall, uncontested)
		defer w.end()
		blob, err := p.store.content.ReaderAt(ctx, desc)
		if err != nil {
			return p.gone(err)
		}
		defer blob.Close()
		source := &upload{SectionReader: io.NewSectionReader(blob, 0, blob.Size()), count: w.count, at: at}
		place, err = p.client.Push(w.ctx, desc, source, w.rest)
		if err != nil && w.stalled() {
			return model.WrapError(model.KindUnavailable, errors.Join(errStalled, err), "the registry takes too slowly or nothing at all; push again")
		}
		return err
	})
	return place, err
}

// upload is a blob on its way to a registry.
type upload struct {
	*io.SectionReader
	count  func(int64)
	at     func(int64)
	offset int64
}

// Read implements io.Reader.
func (u *upload) Read(b []byte) (int, error) {
	n, err := u.SectionReader.Read(b)
	u.offset += int64(n)
	u.count(int64(n))
	u.at(u.offset)
	return n, err
}

// Seek implements io.Seeker.
func (u *upload) Seek(offset int64, whence int) (int64, error) {
	at, err := u.SectionReader.Seek(offset, whence)
	u.offset = at
	return at, err
}
