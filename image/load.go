package image

import (
	"context"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/image/unpack"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// LoadRequest says what to take of an archive, and who hears of it.
type LoadRequest struct {
	// Platform is "os/arch[/variant]". "" takes of each image what is for this
	// machine, or the only platform that the archive has of it.
	Platform string
	Progress func(Progress) // may be nil
	// Loaded is told of each image when containers can be made from it, with
	// the names that the archive gives it, normalized and with tags.
	Loaded func(image model.Image, refs []string)
}

// StatusLoading is the status of a layer that is being unpacked from an
// archive.
const StatusLoading = "Loading layer"

// Load takes the images of an archive: a layout of the OCI image
// specification, an archive of docker save with a manifest.json (Docker 1.10
// and later), or one of the older docker save with a directory for each layer.
// The archive may be compressed with gzip, bzip2, xz or zstd. Its bytes go to
// the disk as they come; layers that are unpacked here already are not
// unpacked again.
//
// The archive is hostile input. It must hold all that its images are made of:
// who knows the digest of something does not get it by that. What breaks a rule
// is KindInvalid, KindTooLarge when it is over a limit; nothing of it stays, but
// images that Loaded was told of do.
func (s *Store) Load(ctx context.Context, archive io.Reader, r LoadRequest) error {
	platform, err := manifest.Platform(r.Platform)
	if err != nil {
		return err
	}
	leased, release, err := s.leaseOnce(scoped(ctx), "load")
	if err != nil {
		return err
	}
	defer release()
	l := &load{
		store: s, limits: s.limits, request: r, platform: platform,
		have: make(map[digest.Digest]int64),
	}
	err = l.run(leased, archive)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// load is one load under way.
type load struct {
	store    *Store
	limits   unpack.Limits
	request  LoadRequest
	platform ocispec.Platform

	files files
	have  map[digest.Digest]int64 // what came with the archive, and its size
}

// packed is an image that the archive holds.
type packed struct {
	manifest ocispec.Descriptor
	refs     []string
}

func (l *load) run(ctx context.Context, archive io.Reader) error {
	if err := l.read(ctx, archive); err != nil {
		return err
	}
	if err := failpoint.Hit("image.load.read"); err != nil {
		return err
	}
	list, err := l.find(ctx)
	if err != nil {
		return err
	}
	for _, found := range list {
		image, err := l.publish(ctx, found.manifest)
		if err != nil {
			return err
		}
		if l.request.Loaded != nil {
			l.request.Loaded(image, found.refs)
		}
	}
	return nil
}

// find tells what images the archive holds. An archive that is of several forms
// at once is read by the newest, which alone keeps the digests of manifests.
func (l *load) find(ctx context.Context) ([]packed, error) {
	switch {
	case l.files.has(ocispec.ImageLayoutFile) && l.files.has(ocispec.ImageIndexFile):
		return l.findByIndex(ctx)
	case l.files.has(dockerManifests):
		return l.findByManifests(ctx)
	case l.files.has(dockerRepositories) || len(l.files.legacyIDs()) > 0:
		return l.findByRepositories(ctx)
	}
	return nil, refuseArchive("it has neither an index.json, nor a manifest.json, nor repositories; docker import takes archives of a root file system")
}

// refuseArchive says what is wrong with an archive.
func refuseArchive(format string, args ...any) error {
	return model.Errorf(model.KindInvalid, "the archive holds no images that can be loaded: "+format, args...)
}

// publish unpacks an image, all of which is here, and makes it known.
func (l *load) publish(ctx context.Context, desc ocispec.Descriptor) (model.Image, error) {
	m, image, err := l.inspect(ctx, desc)
	if err != nil {
		return model.Image{}, err
	}
	for _, layer := range m.Layers {
		if size, ok := l.have[layer.Digest]; !ok || size != layer.Size {
			return model.Image{}, refuseArchive("layer %s is not in it", layer.Digest)
		}
	}
	p := &pull{
		store: l.store, limits: l.limits, client: archiveSource{desc}, report: l.reporter(m, image),
		platform: ocispec.Platform{OS: image.OS, Architecture: image.Architecture, Variant: image.Variant},
	}
	return p.run(ctx)
}

// inspect reads an image's manifest and configuration.
func (l *load) inspect(ctx context.Context, desc ocispec.Descriptor) (ocispec.Manifest, model.Image, error) {
	data, err := l.document(ctx, desc, manifest.MaxSize)
	if err != nil {
		return ocispec.Manifest{}, model.Image{}, err
	}
	m, err := manifest.Parse(data, desc.MediaType)
	if err != nil {
		return m, model.Image{}, err
	}
	config, err := l.document(ctx, m.Config, manifest.MaxConfig)
	if err != nil {
		return m, model.Image{}, err
	}
	image, err := manifest.Config(config, m)
	return m, image, err
}

// reporter tells of what is unpacked, in the words of docker load: layers have
// the names of what they unpack to.
func (l *load) reporter(m ocispec.Manifest, image model.Image) *reporter {
	if l.request.Progress == nil {
		return &reporter{}
	}
	names := make(map[string]string)
	for i, layer := range m.Layers {
		names[layer.Digest.Encoded()[:12]] = model.ShortID(trimAlgorithm(image.DiffIDs[i]))
	}
	return &reporter{send: func(p Progress) {
		if p.Status == StatusExtracting {
			l.request.Progress(Progress{Layer: names[p.Layer], Status: StatusLoading, Current: p.Current, Total: p.Total})
		}
	}}
}

// archiveSource is the source of an image all of whose parts are in the content
// store.
type archiveSource struct{ manifest ocispec.Descriptor }

func (a archiveSource) Resolve(context.Context) (ocispec.Descriptor, error) { return a.manifest, nil }

func (archiveSource) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return nil, refuseArchive("%s is not in it", desc.Digest)
}

func (archiveSource) Explain(err error) error { return err }

// Vouched implements source: all parts were looked for in the archive before.
func (archiveSource) Vouched() bool { return true }

// isBlobName tells whether a file of an archive is a blob of an OCI layout.
func isBlobName(name string) bool { return strings.HasPrefix(name, ocispec.ImageBlobsDir+"/") }
