package main

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/exporter"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/util/leaseutil"
	"github.com/moby/buildkit/worker"
)

const (
	// mobyExporter is how docker's clients ask for an image of the daemon's.
	mobyExporter = "moby"
	// namelessPrefix begins the name by which an image without one is kept.
	namelessPrefix = "spearhead-nameless"
	// keepFor is how long the node may take to fetch what was built.
	keepFor = 15 * time.Minute
)

// built keeps each image that a build makes for as long as the node needs to
// take it. Names are the data center's business, so there are none here.
type built struct{ leases *leaseutil.Manager }

// Create implements images.Store: it keeps the image.
func (b *built) Create(ctx context.Context, i images.Image) (images.Image, error) {
	lease, err := b.leases.Create(ctx, leases.WithRandomID(), leases.WithExpiration(keepFor))
	if err != nil {
		return i, err
	}
	return i, b.leases.AddResource(ctx, lease, leases.Resource{ID: i.Target.Digest.String(), Type: "content"})
}

// Update implements images.Store: there is nothing to update.
func (b *built) Update(_ context.Context, i images.Image, _ ...string) (images.Image, error) {
	return i, errdefs.ErrNotFound
}

// Get implements images.Store.
func (b *built) Get(context.Context, string) (images.Image, error) {
	return images.Image{}, errdefs.ErrNotFound
}

// List implements images.Store.
func (b *built) List(context.Context, ...string) ([]images.Image, error) { return nil, nil }

// Delete implements images.Store.
func (b *built) Delete(context.Context, string, ...images.DeleteOpt) error {
	return errdefs.ErrNotFound
}

// accountWorker knows the exporter that docker's clients ask for.
type accountWorker struct{ worker.Worker }

// Exporter implements worker.Worker.
func (w *accountWorker) Exporter(name string, sessions *session.Manager) (exporter.Exporter, error) {
	if name != mobyExporter && name != "image" {
		return w.Worker.Exporter(name, sessions)
	}
	image, err := w.Worker.Exporter("image", sessions)
	return keeping{image}, err
}

// keeping is the exporter of images, which keeps also those without a name.
type keeping struct{ exporter.Exporter }

func (k keeping) Resolve(ctx context.Context, id int, attrs map[string]string) (exporter.ExporterInstance, error) {
	attrs = maps.Clone(attrs)
	if attrs == nil {
		attrs = map[string]string{}
	}
	attrs[string(exptypes.OptKeyDanglingPrefix)] = namelessPrefix
	attrs[string(exptypes.OptKeyDanglingEmptyOnly)] = "true"
	delete(attrs, string(exptypes.OptKeyUnpack)) // the node unpacks
	instance, err := k.Exporter.Resolve(ctx, id, attrs)
	return keepingInstance{instance}, err
}

type keepingInstance struct{ exporter.ExporterInstance }

func (k keepingInstance) Export(ctx context.Context, src *exporter.Source, info exporter.ExportBuildInfo) (map[string]string, exporter.FinalizeFunc, exporter.DescriptorReference, error) {
	response, finalize, ref, err := k.ExporterInstance.Export(ctx, src, info)
	if strings.HasPrefix(response[exptypes.ExporterImageNameKey], namelessPrefix) {
		delete(response, exptypes.ExporterImageNameKey)
	}
	return response, finalize, ref, err
}
