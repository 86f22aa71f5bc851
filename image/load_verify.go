package image

import (
	"context"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/unpack"
	"github.com/spearheadcloud/spearhead/model"
)

// diffLabel of a blob holds the digest of what it was found to unpack to.
const diffLabel = "spearhead/diff-id"

// remember notes what a layer was found to unpack to.
func (s *Store) remember(ctx context.Context, layer, diffID digest.Digest) error {
	_, err := s.content.Update(ctx, content.Info{Digest: layer, Labels: map[string]string{diffLabel: diffID.String()}}, "labels."+diffLabel)
	if err != nil {
		return fmt.Errorf("cannot note what a layer unpacks to: %w", err)
	}
	return nil
}

// matches returns an error unless a layer unpacks to what an image says of it.
// An image could name a layer that others unpacked here, whose bytes it does
// not have.
func (s *Store) matches(ctx context.Context, layer ocispec.Descriptor, diffID digest.Digest, limits unpack.Limits) error {
	info, err := s.content.Info(ctx, layer.Digest)
	if err != nil {
		return fmt.Errorf("cannot find layer: %w", err)
	}
	if info.Labels[diffLabel] == diffID.String() {
		return nil
	}
	packed, err := s.content.ReaderAt(ctx, layer)
	if err != nil {
		return fmt.Errorf("cannot open layer: %w", err)
	}
	defer packed.Close()
	found, err := unpackTo(ctx, io.Discard, io.NewSectionReader(packed, 0, packed.Size()), limits)
	if err != nil {
		return brokenStream(err)
	}
	if found != diffID {
		return otherBytes()
	}
	return s.remember(ctx, layer.Digest, diffID)
}

func otherBytes() error {
	return model.Errorf(model.KindInvalid, "failed to register layer: it unpacks to other bytes than the image's configuration names")
}
