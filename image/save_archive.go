package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// archiveReader reads a tar archive that is made while it is read: nothing runs
// beside its reader, and at most one blob is open.
type archiveReader struct {
	ctx      context.Context // of the lease under which the blobs are read
	content  content.Provider
	sections []section
	current  io.Reader
	blob     io.Closer // where current reads a blob
	release  func()
}

// section is some bytes of the archive, and a blob after them.
type section struct {
	head []byte
	blob *ocispec.Descriptor
}

func newArchiveReader(ctx context.Context, provider content.Provider, documents []archiveDocument, blobs []ocispec.Descriptor) (*archiveReader, error) {
	r := &archiveReader{ctx: ctx, content: provider, current: bytes.NewReader(nil)}
	var head bytes.Buffer
	w := tar.NewWriter(&head)
	for _, d := range documents {
		if err := w.WriteHeader(archiveHeader(d.name, tar.TypeReg, int64(len(d.data)))); err != nil {
			return nil, fmt.Errorf("cannot write archive: %w", err)
		}
		if _, err := w.Write(d.data); err != nil {
			return nil, fmt.Errorf("cannot write archive: %w", err)
		}
	}
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := w.WriteHeader(archiveHeader(dir, tar.TypeDir, 0)); err != nil {
			return nil, fmt.Errorf("cannot write archive: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("cannot write archive: %w", err)
	}
	for _, blob := range blobs {
		// A writer for each: one would count the bytes that are not given to it.
		if err := tar.NewWriter(&head).WriteHeader(archiveHeader(blobName(blob.Digest), tar.TypeReg, blob.Size)); err != nil {
			return nil, fmt.Errorf("cannot write archive: %w", err)
		}
		r.sections = append(r.sections, section{head: bytes.Clone(head.Bytes()), blob: &blob})
		head.Reset()
		head.Write(make([]byte, -blob.Size&(tarBlock-1)))
	}
	head.Write(make([]byte, 2*tarBlock))
	r.sections = append(r.sections, section{head: head.Bytes()})
	return r, nil
}

// tarBlock is what every part of an archive is a multiple of.
const tarBlock = 512

func archiveHeader(name string, kind byte, size int64) *tar.Header {
	mode := int64(0o644)
	if kind == tar.TypeDir {
		mode = 0o755
	}
	return &tar.Header{Name: name, Typeflag: kind, Mode: mode, Size: size, ModTime: time.Unix(0, 0)}
}

// Read implements io.Reader.
func (r *archiveReader) Read(p []byte) (int, error) {
	for {
		n, err := r.current.Read(p)
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("cannot read a part of an image: %w", err)
		}
		if err == nil {
			continue
		}
		r.closeBlob()
		if len(r.sections) == 0 {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
}

// next goes on to the next section.
func (r *archiveReader) next() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	s := r.sections[0]
	r.sections = r.sections[1:]
	r.current = bytes.NewReader(s.head)
	if s.blob == nil {
		return nil
	}
	blob, err := r.content.ReaderAt(r.ctx, *s.blob)
	if err != nil {
		return fmt.Errorf("cannot open a part of an image: %w", err)
	}
	r.blob = blob
	if blob.Size() != s.blob.Size {
		return model.Errorf(model.KindInternal, "a part of the image is damaged on its node; remove the image and pull it again")
	}
	r.current = io.MultiReader(r.current, io.NewSectionReader(blob, 0, blob.Size()))
	return nil
}

func (r *archiveReader) closeBlob() {
	if r.blob != nil {
		r.blob.Close()
		r.blob = nil
	}
}

// Close gives up what the archive needed.
func (r *archiveReader) Close() error {
	r.closeBlob()
	r.sections, r.current = nil, bytes.NewReader(nil)
	r.release()
	return nil
}
