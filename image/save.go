package image

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/model"
)

// SavedImage is an image and the names that an archive gives it.
type SavedImage struct {
	ImageID string
	Refs    []string // with tags
}

// Save returns images as one archive in the form of docker save: a layout of
// the OCI image specification, with the manifest.json and the repositories that
// older dockers look for. All blobs are as they were pulled or made, so what
// loads the archive has the images by the same digests. Equal requests give
// equal archives.
//
// What the archive needs stays on the node until it is closed. Errors are
// KindNotFound for an image that the node does not hold, KindInvalid for a name
// without a tag.
func (s *Store) Save(ctx context.Context, list []SavedImage) (io.ReadCloser, error) {
	leased, release, err := s.leaseOnce(scoped(ctx), "save")
	if err != nil {
		return nil, err
	}
	archive, err := s.planArchive(leased, list)
	if err != nil {
		release()
		return nil, err
	}
	archive.release = sync.OnceFunc(release)
	return archive, nil
}

func (s *Store) planArchive(ctx context.Context, list []SavedImage) (*archiveReader, error) {
	var layout layout
	for _, wanted := range list {
		refs, err := taggedRefs(wanted.Refs)
		if err != nil {
			return nil, err
		}
		parts, err := s.claimParts(ctx, wanted.ImageID)
		if err != nil {
			return nil, err
		}
		layout.add(parts, refs)
	}
	documents, err := layout.documents()
	if err != nil {
		return nil, err
	}
	return newArchiveReader(ctx, s.content, documents, layout.blobs())
}

// imageParts is an image and the descriptors of what it is made of.
type imageParts struct {
	image    model.Image
	target   ocispec.Descriptor
	manifest ocispec.Manifest
}

// claimParts holds on to all parts of an image.
func (s *Store) claimParts(ctx context.Context, imageID string) (imageParts, error) {
	image, err := s.Get(ctx, imageID)
	if err != nil {
		return imageParts{}, err
	}
	parts := imageParts{image: image, target: ocispec.Descriptor{MediaType: image.MediaType, Digest: digest.Digest(image.Digest)}}
	size, err := s.claimBlob(ctx, parts.target.Digest)
	if err != nil {
		return imageParts{}, gone(imageID, err)
	}
	parts.target.Size = size
	data, err := content.ReadBlob(ctx, s.content, parts.target)
	if err != nil {
		return imageParts{}, gone(imageID, err)
	}
	if parts.manifest, err = manifest.Parse(data, image.MediaType); err != nil {
		return imageParts{}, err
	}
	for _, part := range append([]ocispec.Descriptor{parts.manifest.Config}, parts.manifest.Layers...) {
		if _, err := s.claimBlob(ctx, part.Digest); err != nil {
			return imageParts{}, gone(imageID, err)
		}
	}
	return parts, nil
}

// claimBlob holds on to a blob and returns its size.
func (s *Store) claimBlob(ctx context.Context, blob digest.Digest) (size int64, err error) {
	if err := s.claim(ctx, "content", blob.String()); err != nil {
		return 0, err
	}
	info, err := s.content.Info(ctx, blob)
	return info.Size, err
}

// gone explains that a part of an image that was there is missing.
func gone(imageID string, err error) error {
	if errdefs.IsNotFound(err) { // removed meanwhile
		return noSuchImage(imageID)
	}
	return fmt.Errorf("cannot read image: %w", err)
}
