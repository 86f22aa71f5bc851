package image

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/delta"
	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// CommitOptions say what becomes of a container's root as an image.
type CommitOptions struct {
	Config    model.ImageConfig // the new image's whole configuration
	CreatedBy string            // the command that made it, for its history
	Author    string
	Comment   string
	Created   time.Time
}

// Commit makes an image of a container's root: its image's layers and one more
// with what it changed, unless it changed nothing. Nothing of what is mounted in
// the container is in it. When Commit returns, containers can be made from the
// image. The root may be in use; what changes meanwhile is in the image as it
// was found.
//
// A layer that could not be pulled again is refused with KindInvalid; a full
// disk is KindExhausted.
func (s *Store) Commit(ctx context.Context, containerID string, o CommitOptions) (model.Image, error) {
	base, err := s.imageOf(ctx, containerID)
	if err != nil {
		return model.Image{}, err
	}
	leased, release, err := s.leaseOnce(scoped(ctx), "commit")
	if err != nil {
		return model.Image{}, err
	}
	defer release()
	limits := s.limits
	limits.Ratio = math.MaxInt64 // the container's quota has bounded it already
	c := &commit{
		pull:      pull{store: s, limits: limits, report: &reporter{}},
		container: containerID, base: base.image, options: o,
	}
	return c.run(leased)
}

// commit is one commit under way. What it makes it keeps as a pull does.
type commit struct {
	pull
	container string
	base      model.Image
	options   CommitOptions
}

func (c *commit) run(ctx context.Context) (model.Image, error) {
	layer, diffID, err := c.pack(ctx)
	if err != nil {
		return model.Image{}, err
	}
	m, err := c.baseManifest(ctx)
	if err != nil {
		return model.Image{}, err
	}
	image := c.image(diffID)
	if diffID != "" {
		layer.MediaType = layerType(m.MediaType)
		m.Layers = append(m.Layers, layer)
		if len(m.Layers) > manifest.MaxLayers {
			return model.Image{}, model.Errorf(model.KindInvalid, "the image would have more than %d layers", manifest.MaxLayers)
		}
		if err := c.stack(ctx, layer, image.DiffIDs); err != nil {
			return model.Image{}, err
		}
	}
	if err := failpoint.Hit("image.commit.unpacked"); err != nil {
		return model.Image{}, err
	}
	return c.publish(ctx, m, image)
}

// pack stores what the container changed as a compressed layer. Without any
// change there is none, and diffID is empty.
func (c *commit) pack(ctx context.Context) (layer ocispec.Descriptor, diffID digest.Digest, err error) {
	s := c.store
	ref := "commit-" + model.NewID()
	writer, err := content.OpenWriter(ctx, s.content, content.WithRef(ref))
	if err != nil {
		return layer, "", storageError("store a layer", err)
	}
	defer writer.Close()
	packed := gzipWriter(writer)
	plain := digest.SHA256.Digester()
	bounded := &ceiling{w: io.MultiWriter(packed, plain.Hash()), left: c.limits.Bytes}
	buffered := bufio.NewWriterSize(bounded, 1<<20)
	packer := tarfs.NewPacker(buffered)
	changes := 0
	err = s.compare(ctx, c.container, func(change delta.Change) error {
		changes++
		return addChange(ctx, packer, change)
	})
	if err != nil {
		return layer, "", storageError("store a layer", err)
	}
	if changes == 0 {
		return layer, "", s.content.Abort(ctx, ref)
	}
	for _, end := range []func() error{packer.Close, buffered.Flush, packed.Close} {
		if err := end(); err != nil {
			return layer, "", storageError("store a layer", err)
		}
	}
	if err := failpoint.Hit("image.commit.packed"); err != nil {
		return layer, "", err
	}
	layer.Digest = writer.Digest()
	status, err := writer.Status()
	if err != nil {
		return layer, "", fmt.Errorf("cannot store a layer: %w", err)
	}
	layer.Size = status.Offset
	if err := s.claim(ctx, "content", layer.Digest.String()); err != nil {
		return layer, "", err
	}
	if err := writer.Commit(ctx, layer.Size, layer.Digest); err != nil && !errdefs.IsAlreadyExists(err) {
		return layer, "", storageError("store a layer", err)
	}
	return layer, plain.Digest(), nil
}

// gzipWriter compresses quickly rather than well. Its output depends on the
// input alone, so that equal changes make equal layers.
func gzipWriter(w io.Writer) *gzip.Writer {
	packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is one that exists
	}
	return packed
}

// addChange adds a change to a layer, as the OCI specification has it.
func addChange(ctx context.Context, packer *tarfs.Packer, change delta.Change) error {
	name := strings.TrimPrefix(change.Path, "/")
	dir, base := path.Split(name)
	if strings.HasPrefix(base, whiteoutPrefix) {
		return model.Errorf(model.KindInvalid, "cannot commit %.256q: in an image, a name that begins with %s means that a file was removed", change.Path, whiteoutPrefix)
	}
	if change.Kind == model.FileDeleted {
		return packer.Whiteout(dir + whiteoutPrefix + base)
	}
	return packer.Add(ctx, change.Parent, change.Base, name)
}

const whiteoutPrefix = ".wh."

// ceiling ends a layer that no node would unpack.
type ceiling struct {
	w    io.Writer
	left int64
}

func (c *ceiling) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, model.Errorf(model.KindInvalid, "the container changed too much for one layer of an image; keep data in a volume, or remove what the image does not need")
	}
	return c.w.Write(p)
}

func (c *commit) baseManifest(ctx context.Context) (ocispec.Manifest, error) {
	target := ocispec.Descriptor{MediaType: c.base.MediaType, Digest: digest.Digest(c.base.Digest)}
	data, err := content.ReadBlob(ctx, c.store.content, target)
	if err != nil {
		return ocispec.Manifest{}, fmt.Errorf("cannot read manifest: %w", err)
	}
	m, err := manifest.Parse(data, c.base.MediaType)
	m.MediaType = c.base.MediaType
	return m, err
}

// layerType is the type of a layer that fits the others of a manifest.
func layerType(manifestType string) string {
	if manifestType == images.MediaTypeDockerSchema2Manifest {
		return images.MediaTypeDockerSchema2LayerGzip
	}
	return ocispec.MediaTypeImageLayerGzip
}

// image describes the new image but for its id.
func (c *commit) image(diffID digest.Digest) model.Image {
	image := clone(c.base)
	image.Config = c.options.Config
	image.Author, image.Comment, image.Created = c.options.Author, c.options.Comment, c.options.Created
	image.History = append(image.History, model.ImageHistory{
		Created: c.options.Created, CreatedBy: c.options.CreatedBy, Author: c.options.Author,
		Comment: c.options.Comment, EmptyLayer: diffID == "",
	})
	if diffID != "" {
		image.DiffIDs = append(image.DiffIDs, diffID.String())
	}
	return image
}

// stack unpacks the new layer, the last of diffIDs, upon the others.
func (c *commit) stack(ctx context.Context, layer ocispec.Descriptor, diffIDs []string) error {
	chain := chainIDs(diffIDs)
	parent := ""
	if len(chain) > 1 {
		parent = chain[len(chain)-2]
		if err := c.store.claim(ctx, "snapshots/"+c.store.snapshotter, parent); err != nil {
			return err
		}
	}
	last := len(chain) - 1
	if err := c.store.claim(ctx, "snapshots/"+c.store.snapshotter, chain[last]); err != nil {
		return err
	}
	return c.layer(ctx, layer, parent, chain[last], digest.Digest(diffIDs[last]), true)
}

// publish stores configuration and manifest and makes the image known.
func (c *commit) publish(ctx context.Context, m ocispec.Manifest, image model.Image) (model.Image, error) {
	config, err := manifest.Encode(image)
	if err != nil {
		return model.Image{}, err
	}
	m.Config = ocispec.Descriptor{MediaType: m.Config.MediaType, Digest: digest.FromBytes(config), Size: int64(len(config))}
	m.Annotations, m.Subject, m.Versioned = nil, nil, specs.Versioned{SchemaVersion: 2}
	if _, err := manifest.Config(config, m); err != nil { // else no node could read it
		return model.Image{}, err
	}
	document, err := json.Marshal(m)
	if err != nil {
		return model.Image{}, fmt.Errorf("cannot write the image's manifest: %w", err)
	}
	desc := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(document), Size: int64(len(document))}
	for _, part := range []struct {
		desc ocispec.Descriptor
		data []byte
	}{{m.Config, config}, {desc, document}} {
		if err := c.store.claim(ctx, "content", part.desc.Digest.String()); err != nil {
			return model.Image{}, err
		}
		if err := c.keep(ctx, part.desc, part.data); err != nil {
			return model.Image{}, err
		}
	}
	id := m.Config.Digest.String()
	if _, err := c.store.record(ctx, id, desc, m, chainIDs(image.DiffIDs)); err != nil {
		return model.Image{}, err
	}
	return c.store.Get(ctx, id)
}
