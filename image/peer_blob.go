package image

import (
	"context"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// Blob opens content that the node holds whole, from offset on, and tells how
// long all of it is. KindNotFound if the node does not hold it. What is being
// read stays readable when it is removed meanwhile.
func (s *Store) Blob(ctx context.Context, name string, offset int64) (size int64, r io.ReadCloser, err error) {
	wanted, err := digest.Parse(name)
	if err != nil {
		return 0, nil, model.Errorf(model.KindInvalid, "%.80q is not a digest", name)
	}
	blob, err := s.content.ReaderAt(scoped(ctx), ocispec.Descriptor{Digest: wanted})
	if errdefs.IsNotFound(err) {
		return 0, nil, model.Errorf(model.KindNotFound, "the node does not hold %s", wanted)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("cannot open content: %w", err)
	}
	size = blob.Size()
	if offset < 0 || offset > size {
		blob.Close()
		return 0, nil, model.Errorf(model.KindInvalid, "content of %d bytes cannot be read from byte %d on", size, offset)
	}
	return size, struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(blob, offset, size-offset), blob}, nil
}
