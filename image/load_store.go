package image

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"path"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/unpack"
	"github.com/spearheadcloud/spearhead/model"
)

// newBlob is a blob that is being written, whose digest is not known before.
type newBlob struct {
	store  *Store
	ref    string
	writer content.Writer
	failed error // of the disk
}

// newBlob begins a blob. It must be stored or dropped.
func (s *Store) newBlob(ctx context.Context) (*newBlob, error) {
	b := &newBlob{store: s, ref: "new-" + model.NewID()}
	var err error
	if b.writer, err = content.OpenWriter(ctx, s.content, content.WithRef(b.ref)); err != nil {
		return nil, storageError("keep a part of the image", err)
	}
	return b, nil
}

// Write implements io.Writer.
func (b *newBlob) Write(p []byte) (int, error) {
	n, err := b.writer.Write(p)
	if err != nil {
		b.failed = err
	}
	return n, err
}

// explain tells whose fault an error is that ended the copying of a stream into
// the blob.
func (b *newBlob) explain(err error) error {
	if b.failed != nil {
		return storageError("keep a part of the image", b.failed)
	}
	return brokenStream(err)
}

// drop gives up what was written, if it was not stored.
func (b *newBlob) drop(ctx context.Context) {
	b.writer.Close()
	err := b.store.content.Abort(context.WithoutCancel(ctx), b.ref)
	if err != nil && !errdefs.IsNotFound(err) {
		b.store.log.Error("bytes of an archive stay until the next collection", "err", err)
	}
}

// finish stores the blob under the lease of ctx. If want is not empty, it must
// have that digest.
func (b *newBlob) finish(ctx context.Context, want digest.Digest) (ocispec.Descriptor, error) {
	status, err := b.writer.Status()
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("cannot keep a part of the image: %w", err)
	}
	desc := ocispec.Descriptor{Digest: b.writer.Digest(), Size: status.Offset}
	if want != "" && desc.Digest != want {
		return desc, refuseArchive("the bytes of %s have another digest (%s)", want, desc.Digest)
	}
	if err := b.store.claim(ctx, "content", desc.Digest.String()); err != nil {
		return desc, err
	}
	if err := b.writer.Commit(ctx, desc.Size, desc.Digest); err != nil && !errdefs.IsAlreadyExists(err) {
		return desc, storageError("keep a part of the image", err)
	}
	return desc, nil
}

// storeBlob stores a blob of an OCI layout as it is.
func (l *load) storeBlob(ctx context.Context, name string, r io.Reader) (blob, error) {
	want := digest.NewDigestFromEncoded(digest.SHA256, path.Base(name))
	if want.Validate() != nil || name != blobName(want) {
		return blob{}, refuseArchive("%.128q is not named by a sha256 digest", name)
	}
	b, err := l.store.newBlob(ctx)
	if err != nil {
		return blob{}, err
	}
	defer b.drop(ctx)
	if _, err := io.Copy(b, r); err != nil {
		return blob{}, b.explain(err)
	}
	desc, err := b.finish(ctx, want)
	if err == nil {
		l.have[desc.Digest] = desc.Size
	}
	return blob{desc: desc}, err
}

// storeLayer stores a layer: as it is where it is compressed as registries take
// it, else with gzip.
func (s *Store) storeLayer(ctx context.Context, r io.Reader, limits unpack.Limits) (blob, error) {
	b, err := s.newBlob(ctx)
	if err != nil {
		return blob{}, err
	}
	defer b.drop(ctx)
	buffered := bufio.NewReaderSize(r, 64<<10)
	mediaType := compression(buffered)
	var diffID digest.Digest
	if mediaType == images.MediaTypeDockerSchema2Layer {
		mediaType = images.MediaTypeDockerSchema2LayerGzip
		packed := gzipWriter(b)
		if diffID, err = unpackTo(ctx, packed, buffered, limits); err == nil {
			err = packed.Close()
		}
	} else {
		source := io.TeeReader(buffered, b)
		if diffID, err = unpackTo(ctx, io.Discard, source, limits); err == nil {
			_, err = io.Copy(io.Discard, source) // what follows the compressed stream
		}
	}
	if err != nil {
		return blob{}, b.explain(err)
	}
	desc, err := b.finish(ctx, "")
	desc.MediaType = mediaType
	return blob{desc: desc, diffID: diffID}, err
}

// compression returns the media type of a layer, by its first bytes; what
// registries do not take compressed is the type of what is not.
func compression(r *bufio.Reader) string {
	head, _ := r.Peek(4) // a shorter layer is none of these
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return images.MediaTypeDockerSchema2LayerGzip
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return images.MediaTypeDockerSchema2LayerZstd
	}
	return images.MediaTypeDockerSchema2Layer
}

// unpackTo writes what a layer's stream unpacks to and returns its digest.
func unpackTo(ctx context.Context, w io.Writer, r io.Reader, limits unpack.Limits) (digest.Digest, error) {
	plain, err := openPlain(ctx, r, bounds{bytes: limits.Bytes, ratio: limits.Ratio, free: limits.RatioFree, window: limits.Window})
	if err != nil {
		return "", err
	}
	defer plain.Close()
	hash := digest.SHA256.Digester()
	_, err = io.Copy(io.MultiWriter(w, hash.Hash()), plain)
	return hash.Digest(), err
}

// layer stores a layer that came with the archive.
func (l *load) layer(ctx context.Context, r io.Reader) (blob, error) {
	b, err := l.store.storeLayer(ctx, r, l.limits)
	if err == nil {
		l.have[b.desc.Digest] = b.desc.Size
	}
	return b, err
}

// document reads a document that came with the archive.
func (l *load) document(ctx context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	size, ok := l.have[desc.Digest]
	if !ok || size != desc.Size {
		return nil, refuseArchive("%s is not in it", desc.Digest)
	}
	if size > limit {
		return nil, model.Errorf(model.KindInvalid, "the image has a part of %d bytes where at most %d are taken", size, limit)
	}
	data, err := content.ReadBlob(ctx, l.store.content, desc)
	if err != nil {
		return nil, fmt.Errorf("cannot read a part of the image: %w", err)
	}
	return data, nil
}
