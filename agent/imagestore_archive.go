package agent

import (
	"context"
	"io"
	"time"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// ImageArchives is what the agent asks of package image about archives of
// images, and about what they take.
type ImageArchives interface {
	Save(ctx context.Context, list []image.SavedImage) (io.ReadCloser, error)
	Load(ctx context.Context, archive io.Reader, r image.LoadRequest) error
	Import(ctx context.Context, archive io.Reader, o image.ImportOptions) (model.Image, error)
	Usage(ctx context.Context) (image.Usage, error)
}

// SaveImages implements wire.Agent.
func (a *Agent) SaveImages(ctx context.Context, r wire.SaveRequest) (io.ReadCloser, error) {
	list := make([]image.SavedImage, len(r.Images))
	for i, img := range r.Images {
		list[i] = image.SavedImage{ImageID: img.ImageID, Refs: img.Refs}
	}
	return a.drivers.Images.Save(ctx, list)
}

// LoadImages implements wire.Agent. The load ends with ctx, with the stream's
// Close, and with the agent.
func (a *Agent) LoadImages(ctx context.Context, r wire.LoadRequest, tar io.Reader) (wire.LoadStream, error) {
	s, err := carry(ctx, a, func(s *stream[wire.LoadMessage]) { a.loadImages(s, r, tar) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (a *Agent) loadImages(s *stream[wire.LoadMessage], r wire.LoadRequest, tar io.Reader) {
	err := a.drivers.Images.Load(s.ctx, tar, image.LoadRequest{
		Platform: r.Platform,
		Progress: func(p image.Progress) {
			s.send(wire.LoadMessage{Progress: &wire.PullProgress{Layer: p.Layer, Status: p.Status, Current: p.Current, Total: p.Total}})
		},
		Loaded: func(img model.Image, refs []string) {
			s.send(wire.LoadMessage{Image: &wire.LoadedImage{Image: img, Refs: refs}})
		},
	})
	if err == nil {
		return
	}
	if s.ctx.Err() == nil {
		a.log.Warn("cannot load images", "op", "load", "err", err)
	}
	s.send(wire.LoadMessage{Error: wire.NewErrorBody(err)})
}

// ImportImage implements wire.Agent.
func (a *Agent) ImportImage(ctx context.Context, r wire.ImportRequest, tar io.Reader) (model.Image, error) {
	return a.drivers.Images.Import(ctx, tar, image.ImportOptions{
		Config: r.Config, Comment: r.Comment, Created: time.Now().UTC(), Platform: r.Platform,
	})
}

// ImageUsage implements wire.Agent.
func (a *Agent) ImageUsage(ctx context.Context) (wire.ImageUsage, error) {
	usage, err := a.drivers.Images.Usage(ctx)
	return wire.ImageUsage{Blobs: usage.Blobs, Layers: usage.Layers}, err
}
