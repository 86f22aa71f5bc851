package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/registry"
	"github.com/spearheadcloud/spearhead/model"
)

// document returns an index, manifest or configuration with its digest checked.
// It comes from the registry also where the node has it: a name or a manifest
// can lead to the digest of what another account keeps to itself.
func (p *pull) document(ctx context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if desc.Size < 0 || desc.Size > limit {
		return nil, model.Errorf(model.KindInvalid, "the image has a part of %d bytes where at most %d are taken", desc.Size, limit)
	}
	if err := p.store.claim(ctx, "content", desc.Digest.String()); err != nil {
		return nil, err
	}
	// What is here under the digest may be a layer of any size.
	if info, err := p.store.content.Info(ctx, desc.Digest); err == nil && info.Size == desc.Size && p.client.Vouched() {
		if data, err := content.ReadBlob(ctx, p.store.content, desc); err == nil {
			return data, nil
		}
	}
	var data []byte
	err := p.watched(ctx, uncontested, func(ctx context.Context, count func(int64)) error {
		r, err := p.client.Fetch(ctx, desc)
		if err != nil {
			return err
		}
		defer r.Close()
		data, err = io.ReadAll(io.LimitReader(&counter{r: r, count: count}, desc.Size+1))
		return err
	})
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != desc.Size || digest.Digest(desc.Digest).Algorithm().FromBytes(data) != desc.Digest {
		return nil, wrongDigest(desc.Digest)
	}
	return data, nil
}

func wrongDigest(want digest.Digest) error {
	return model.WrapError(model.KindInvalid, wrongBytes(want), "the registry sent other bytes than it promised: digest %s does not match", want)
}

// wrongBytes is the digest that the bytes which came do not have.
type wrongBytes digest.Digest

func (w wrongBytes) Error() string { return "not the bytes of " + string(w) }

// keep stores a document that was checked.
func (p *pull) keep(ctx context.Context, desc ocispec.Descriptor, data []byte) error {
	unlock, err := p.store.working.lock(ctx, desc.Digest.String())
	if err != nil {
		return err
	}
	defer unlock()
	if err := content.WriteBlob(ctx, p.store.content, desc.Digest.String(), bytes.NewReader(data), desc); err != nil {
		return storageError("keep a part of the image", err)
	}
	return nil
}

// blob makes the node hold a layer's bytes, and tells a how they come. Who wants
// the same layer waits until it is here and, if it is unpacked as it comes,
// unpacked. moved is called when nothing is transferred any more.
func (p *pull) blob(ctx context.Context, desc ocispec.Descriptor, a *arrival, moved func()) error {
	served := p.store.rivals.wait(desc.Digest, p.from())
	unlock, err := p.store.working.lock(ctx, desc.Digest.String())
	served()
	if err != nil {
		return err
	}
	defer unlock()
	fresh, err := p.bring(ctx, desc, a)
	a.end(fresh, err)
	moved()
	if err != nil {
		return err
	}
	return a.unfollowed(ctx)
}

// bring downloads a layer, or proves that the user may have the one that is
// here. fresh is false in the second case. The caller has the layer's lock.
func (p *pull) bring(ctx context.Context, desc ocispec.Descriptor, a *arrival) (fresh bool, err error) {
	if err := p.store.claim(ctx, "content", desc.Digest.String()); err != nil {
		return false, err
	}
	if err := p.store.transfers.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer p.store.transfers.Release(1)
	info, err := p.store.content.Info(ctx, desc.Digest)
	if err != nil {
		return true, retried(ctx, func() error { return p.download(ctx, desc, a) })
	}
	if err := p.prove(ctx, desc, info); err != nil {
		return false, err
	}
	p.store.noteSource(ctx, desc.Digest, p.ref)
	return false, nil
}

// download fetches a blob from where the last attempt left off. If that was
// another pull's and all together is wrong, the blob is fetched anew: a registry
// that sends wrong bytes and breaks off spoils nobody's pull.
func (p *pull) download(ctx context.Context, desc ocispec.Descriptor, a *arrival) error {
	writer, err := p.openWriter(ctx, desc, a)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return storageError("keep a layer", err)
	}
	defer writer.Close()
	var fromStore atomic.Bool
	err = p.watched(ctx, p.contested(desc), func(ctx context.Context, count func(int64)) error {
		r, err := p.client.Fetch(ctx, desc)
		if err != nil {
			return err
		}
		defer r.Close()
		shown := &meter{reporter: p.report, layer: desc.Digest, status: StatusDownloading, total: desc.Size}
		source := &counter{r: r, count: count, meter: shown}
		err = content.Copy(ctx, writer, source, desc.Size, desc.Digest)
		fromStore.Store(err != nil && !source.failed)
		return err
	})
	switch {
	case err == nil:
		p.report.say(desc.Digest, StatusDownloaded)
		return nil
	case errdefs.IsFailedPrecondition(err), errdefs.IsInvalidArgument(err):
		writer.Close()
		p.discard(ctx, desc)
		if writer.foreign {
			return p.download(ctx, desc, a)
		}
		return wrongDigest(desc.Digest)
	case fromStore.Load() && ctx.Err() == nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return storageError("keep a layer", err)
	}
	return err
}

// openWriter begins to write a layer, or goes on with it.
func (p *pull) openWriter(ctx context.Context, desc ocispec.Descriptor, a *arrival) (*layerWriter, error) {
	writer, err := content.OpenWriter(ctx, p.store.content, content.WithRef(desc.Digest.String()), content.WithDescriptor(desc))
	if err != nil {
		return nil, err
	}
	status, err := writer.Status()
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	foreign := status.Offset > 0 && !a.begun()
	// Without the file the layer is unpacked when it is whole.
	if !foreign {
		if err := a.begin(func() (*os.File, error) { return p.store.ingest(desc.Digest) }, status.Offset); err != nil {
			p.store.log.Warn("cannot unpack a layer while it comes", "op", "pull", "err", err)
		}
	}
	return &layerWriter{
		Writer: writer, ref: p.ref, come: status.Offset, foreign: foreign, grown: a.grow,
		done: func() { p.report.say(desc.Digest, StatusVerifying) },
	}, nil
}

// discard drops bytes that turned out to be wrong.
func (p *pull) discard(ctx context.Context, desc ocispec.Descriptor) {
	err := p.store.content.Abort(context.WithoutCancel(ctx), desc.Digest.String())
	if err != nil && !errdefs.IsNotFound(err) {
		p.store.log.Error("wrong bytes of a layer stay until the next collection", "op", "pull", "err", err)
	}
}

// layerWriter tells what has come of a layer, and when all bytes are there and
// the digest is looked at; it labels what is kept with where it came from.
type layerWriter struct {
	content.Writer
	ref     reference.Named
	come    int64
	foreign bool // another pull has fetched the beginning
	grown   func(int64)
	done    func()
}

// Write implements io.Writer.
func (w *layerWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.come += int64(n)
	w.grown(w.come)
	return n, err
}

// Commit implements content.Writer.
func (w *layerWriter) Commit(ctx context.Context, size int64, expected digest.Digest, opts ...content.Opt) error {
	w.done()
	if w.ref != nil {
		key, repository := registry.KnownIn(w.ref)
		opts = append(opts, content.WithLabels(map[string]string{key: repository, registry.GivenBy(w.ref): "yes"}))
	}
	return w.Writer.Commit(ctx, size, expected, opts...)
}

// counter counts bytes that come from the registry, and remembers whether it
// was the one that failed.
type counter struct {
	r      io.ReadCloser
	count  func(int64)
	meter  *meter
	offset int64
	failed bool
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.offset += int64(n)
	c.count(int64(n))
	if c.meter != nil {
		c.meter.at(c.offset)
	}
	if err != nil && err != io.EOF {
		c.failed = true
	}
	return n, err
}

// Seek lets a download go on in the middle of a blob.
func (c *counter) Seek(offset int64, whence int) (int64, error) {
	seeker, ok := c.r.(io.Seeker)
	if !ok {
		return 0, errors.New("cannot go on in the middle: the registry has no ranges")
	}
	at, err := seeker.Seek(offset, whence)
	if err == nil {
		c.offset = at
	}
	return at, err
}

// watched runs work that reads from the registry and ends it when too few
// bytes come. Its errors are explained.
func (p *pull) watched(ctx context.Context, contested func() bool, work func(ctx context.Context, count func(int64)) error) error {
	w := watch(ctx, p.store.stall, contested)
	defer w.end()
	err := work(w.ctx, w.count)
	switch {
	case err == nil:
		return nil
	case w.stalled():
		return model.WrapError(model.KindUnavailable, errors.Join(errStalled, err), "the registry sends too slowly or nothing at all; pull again to go on")
	case errdefs.IsFailedPrecondition(err), errdefs.IsInvalidArgument(err):
		return err
	}
	return p.client.Explain(err)
}

// storageError is an error of the node's own disk.
func storageError(verb string, err error) error {
	if isFull(err) {
		return model.WrapError(model.KindExhausted, err, "no space left on the node to %s", verb)
	}
	return fmt.Errorf("cannot %s: %w", verb, err)
}
