package image

import (
	"context"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/registry"
)

// prove makes sure that the registry gives the user a layer that is here
// already, from another pull or build, perhaps another account's: a manifest
// can name any digest. A registry that this node has the layer from, or has
// sent it to, is asked for the last byte of it, by the user's credentials. Any
// other one has to send the layer: one that its owner made for the purpose
// would say yes to every digest.
func (p *pull) prove(ctx context.Context, desc ocispec.Descriptor, here content.Info) error {
	if p.client.Vouched() {
		return nil
	}
	known := false
	if p.ref != nil {
		_, known = here.Labels[registry.GivenBy(p.ref)]
	}
	return retried(ctx, func() error {
		return p.watched(ctx, p.contested(desc), func(ctx context.Context, count func(int64)) error {
			if known {
				return p.lastByte(ctx, desc, count)
			}
			return p.allBytes(ctx, desc, count)
		})
	})
}

// lastByte reads no more of a layer than its end.
func (p *pull) lastByte(ctx context.Context, desc ocispec.Descriptor, count func(int64)) error {
	r, err := p.client.Fetch(ctx, desc)
	if err != nil {
		return err
	}
	defer r.Close()
	source := &counter{r: r, count: count}
	if desc.Size > 0 {
		if _, err := source.Seek(desc.Size-1, io.SeekStart); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, io.LimitReader(source, 1))
	return err
}

// allBytes reads a layer and keeps nothing of it but that it was right.
func (p *pull) allBytes(ctx context.Context, desc ocispec.Descriptor, count func(int64)) error {
	r, err := p.client.Fetch(ctx, desc)
	if err != nil {
		return err
	}
	defer r.Close()
	shown := &meter{reporter: p.report, layer: desc.Digest, status: StatusDownloading, total: desc.Size}
	hash := desc.Digest.Verifier()
	if _, err := io.Copy(hash, io.LimitReader(&counter{r: r, count: count, meter: shown}, desc.Size)); err != nil {
		return err
	}
	if !hash.Verified() {
		return wrongDigest(desc.Digest)
	}
	return nil
}
