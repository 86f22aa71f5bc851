package image

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/registry"
	"github.com/spearheadcloud/spearhead/model"
)

// Peer is another node that may hold parts of an image. A Store is one.
type Peer interface {
	// Blob opens content from offset on and tells how long all of it is.
	// KindNotFound if the node does not hold it.
	Blob(ctx context.Context, digest string, offset int64) (size int64, r io.ReadCloser, err error)
}

// CopyRequest names an image that other nodes hold.
type CopyRequest struct {
	Image model.Image // its id, digest, media type and platform are looked at
	Peers []Peer      // who may hold it, the best first
	Ref   string      // repository@digest, for what no peer gives; "" asks no registry
}

// Copy makes the node hold an image that peers hold, byte for byte, and tells
// whether it is new here. Parts come from several peers at once. A peer that
// breaks off, falls silent or sends other bytes than it should is replaced by
// the next one, from where it left off; what none of them gives is asked of
// the registry, as anybody may. KindUnavailable tells that it does not give it
// either.
func (s *Store) Copy(ctx context.Context, r CopyRequest, progress func(Progress)) (image model.Image, isNew bool, err error) {
	if image, err := s.Get(ctx, r.Image.ID); err == nil {
		return image, false, nil
	}
	from := newPeers(r)
	var known reference.Named
	if r.Ref != "" {
		ref, err := parseRef(r.Ref)
		if err != nil {
			return model.Image{}, false, err
		}
		client, err := s.policy.NewClient(ref, registry.Credentials{}, registry.Pull)
		if err != nil {
			return model.Image{}, false, err
		}
		defer client.Close()
		from.registry, known = client, ref
	}
	limits := s.limits
	limits.Ratio = math.MaxInt64 // a node has unpacked the same bytes before, or made them
	p := &pull{
		store: s, limits: limits, client: from, ref: known, report: &reporter{send: progress},
		platform: ocispec.Platform{OS: r.Image.OS, Architecture: r.Image.Architecture, Variant: r.Image.Variant},
	}
	leased, release, err := s.lease(scoped(ctx), r.Image.Digest)
	if err != nil {
		return model.Image{}, false, err
	}
	image, err = p.copy(leased, from, r.Image.ID)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	release(err)
	if err != nil {
		return model.Image{}, false, err
	}
	return image, p.isNew, nil
}

// copy is run, again without the peers that were found to send wrong bytes.
// What was right is kept, so each time there is less to do.
func (p *pull) copy(ctx context.Context, from *peers, id string) (model.Image, error) {
	for {
		image, err := p.run(ctx)
		var wrong wrongBytes
		if errors.As(err, &wrong) && from.distrust(digest.Digest(wrong)) {
			p.store.log.Error("a node sent other bytes than it should; it is not asked for this image any more", "op", "copy", "err", err)
			continue
		}
		if err == nil && image.ID != id {
			return model.Image{}, model.Errorf(model.KindInvalid, "the image's manifest leads to image %s, not to %s", image.ID, id)
		}
		return image, err
	}
}
