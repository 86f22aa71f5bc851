package kerneltest

import (
	"context"
	"io"
	"strings"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// Copy reads wiretest.ContentDigest from the first peer that has it, and holds
// the image then.
func (d *imageDriver) Copy(ctx context.Context, r image.CopyRequest, progress func(image.Progress)) (model.Image, bool, error) {
	for _, p := range r.Peers {
		_, content, err := p.Blob(ctx, wiretest.ContentDigest, 0)
		if err != nil {
			continue
		}
		_, err = io.Copy(io.Discard, content)
		content.Close()
		if err != nil {
			continue
		}
		progress(image.Progress{Layer: "0123456789ab", Status: image.StatusPulled})
		d.mu.Lock()
		defer d.mu.Unlock()
		isNew := !d.images[r.Image.ID]
		d.images[r.Image.ID] = true
		return r.Image, isNew, nil
	}
	return model.Image{}, false, model.Errorf(model.KindUnavailable, "no node holds image %s", r.Image.ID)
}

// Blob holds wiretest.Content.
func (d *imageDriver) Blob(_ context.Context, digest string, offset int64) (int64, io.ReadCloser, error) {
	if digest != wiretest.ContentDigest {
		return 0, nil, model.Errorf(model.KindNotFound, "the node does not hold %s", digest)
	}
	return int64(len(wiretest.Content)), io.NopCloser(strings.NewReader(wiretest.Content[offset:])), nil
}

// CollectGarbage finds none.
func (d *imageDriver) CollectGarbage(context.Context) error { return nil }

// ForgetInterrupted finds nothing.
func (d *imageDriver) ForgetInterrupted(context.Context) error { return nil }

// Shed gives up wiretest.Content if a peer has it.
func (d *imageDriver) Shed(ctx context.Context, _ string, peers []image.Peer) (int64, error) {
	for _, p := range peers {
		size, content, err := p.Blob(ctx, wiretest.ContentDigest, 0)
		if err == nil {
			return size, content.Close()
		}
	}
	return 0, nil
}
