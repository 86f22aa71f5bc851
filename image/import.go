package image

import (
	"context"
	"io"
	"math"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// ImportOptions are what an imported image says of itself.
type ImportOptions struct {
	Config   model.ImageConfig
	Comment  string
	Created  time.Time
	Platform string // "os/arch[/variant]"; "" is this machine's
}

// Import makes an image of one layer from a tar archive of a root file system,
// which may be compressed with gzip, bzip2, xz or zstd. The archive is hostile
// input, held to the rules for layers: what breaks one is KindInvalid.
func (s *Store) Import(ctx context.Context, archive io.Reader, o ImportOptions) (model.Image, error) {
	platform, err := manifest.Platform(o.Platform)
	if err != nil {
		return model.Image{}, err
	}
	leased, release, err := s.leaseOnce(scoped(ctx), "import")
	if err != nil {
		return model.Image{}, err
	}
	defer release()
	image, err := s.importLayer(leased, archive, platform, o)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return image, err
}

func (s *Store) importLayer(ctx context.Context, archive io.Reader, platform ocispec.Platform, o ImportOptions) (model.Image, error) {
	limits := s.limits
	limits.Ratio, limits.RatioFree = archiveRatio, archiveFree
	layer, err := s.storeLayer(ctx, archive, limits)
	if err != nil {
		return model.Image{}, err
	}
	if err := failpoint.Hit("image.import.stored"); err != nil {
		return model.Image{}, err
	}
	image := model.Image{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
		Created: o.Created, Comment: o.Comment, Config: o.Config, DiffIDs: []string{layer.diffID.String()},
		History: []model.ImageHistory{{Created: o.Created, Comment: o.Comment}},
	}
	limits.Ratio = math.MaxInt64 // the archive was held to it when it came
	c := &commit{pull: pull{store: s, limits: limits, report: &reporter{}}}
	if err := c.stack(ctx, layer.desc, image.DiffIDs); err != nil {
		return model.Image{}, err
	}
	return c.publish(ctx, ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig},
		Layers:    []ocispec.Descriptor{ociLayer(layer.desc)},
	}, image)
}

// ociLayer gives a layer that was stored the type that the OCI specification
// has for it.
func ociLayer(desc ocispec.Descriptor) ocispec.Descriptor {
	if desc.MediaType == images.MediaTypeDockerSchema2LayerZstd {
		desc.MediaType = ocispec.MediaTypeImageLayerZstd
	} else {
		desc.MediaType = ocispec.MediaTypeImageLayerGzip
	}
	return desc
}
