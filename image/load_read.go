package image

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"path"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/model"
)

// Limits of archives, beside those of layers.
const (
	maxArchive      = 10 << 30 // bytes, unpacked
	maxFiles        = 16384    // entries
	maxEntryName    = 4096     // bytes
	maxDocuments    = 32 << 20 // bytes of all small files, which are held in memory
	maxArchiveDrain = 1 << 20  // bytes after the archive's end that are read
	archiveRatio    = 200      // of unpacked to packed bytes of what people send, after archiveFree
	archiveFree     = 100 << 20
	legacyVersion   = "VERSION"
	legacyConfig    = "json"
	legacyLayer     = "layer.tar"
)

// read takes all files of the archive: small ones into memory, others into the
// content store.
func (l *load) read(ctx context.Context, archive io.Reader) error {
	plain, err := openPlain(ctx, archive, bounds{bytes: maxArchive, ratio: archiveRatio, free: archiveFree, window: l.limits.Window})
	if err != nil {
		return err
	}
	defer plain.Close()
	entries := tar.NewReader(plain)
	taken := intake{load: l}
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return brokenStream(err)
		}
		if err := taken.entry(ctx, header, entries); err != nil {
			return err
		}
	}
	// Senders pad; a compressed stream ends with a checksum.
	_, err = io.CopyN(io.Discard, plain, maxArchiveDrain)
	if err != nil && !errors.Is(err, io.EOF) {
		return brokenStream(err)
	}
	return nil
}

// intake counts what is taken of an archive.
type intake struct {
	load      *load
	entries   int
	bytes     int64
	documents int64
}

func (t *intake) entry(ctx context.Context, header *tar.Header, content io.Reader) error {
	if t.entries++; t.entries > maxFiles {
		return model.Errorf(model.KindTooLarge, "the archive has more than %d entries; save fewer images at once", maxFiles)
	}
	name, err := entryName(header.Name)
	if err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	case tar.TypeSymlink:
		target := path.Clean(header.Linkname)
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		return t.load.files.link(name, target)
	case tar.TypeLink:
		return t.load.files.link(name, path.Clean(header.Linkname))
	default:
		return refuseArchive("%.128q is neither a file nor a directory", name)
	}
	if t.bytes += header.Size; header.Size < 0 || t.bytes < 0 || t.bytes > maxArchive {
		return archiveTooLarge()
	}
	return t.file(ctx, name, header.Size, content)
}

func archiveTooLarge() error {
	return model.Errorf(model.KindTooLarge, "the archive has more than %d bytes; save fewer images at once", int64(maxArchive))
}

func (t *intake) file(ctx context.Context, name string, size int64, content io.Reader) error {
	l := t.load
	if path.Base(name) == legacyVersion && size < 64 {
		return nil
	}
	if isBlobName(name) {
		b, err := l.storeBlob(ctx, name, content)
		if err == nil {
			l.files.addBlob(name, b)
		}
		return err
	}
	buffered := bufio.NewReaderSize(content, 64<<10)
	if head, _ := buffered.Peek(1); size <= manifest.MaxConfig && len(head) == 1 && (head[0] == '{' || head[0] == '[') {
		if t.documents += size; t.documents > maxDocuments {
			return model.Errorf(model.KindTooLarge, "the archive has more than %d bytes of documents; save fewer images at once", maxDocuments)
		}
		data, err := io.ReadAll(buffered)
		if err != nil {
			return brokenStream(err)
		}
		l.files.addDocument(name, data)
		return nil
	}
	if name == ocispec.ImageIndexFile || name == dockerManifests {
		return refuseArchive("its %s is no JSON document of a size that is taken", name)
	}
	b, err := l.layer(ctx, buffered)
	if err == nil {
		l.files.addBlob(name, b)
	}
	return err
}
