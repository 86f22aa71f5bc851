package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/model"
)

// maxArchivedImages is how many images an archive may hold.
const maxArchivedImages = 1024

// findByManifests finds the images of a manifest.json and makes manifests for
// them.
func (l *load) findByManifests(ctx context.Context) ([]packed, error) {
	data, err := l.files.document(dockerManifests)
	if err != nil {
		return nil, err
	}
	var manifests []dockerManifest
	if err := json.Unmarshal(data, &manifests); err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "the archive's %s cannot be read", dockerManifests)
	}
	if len(manifests) == 0 || len(manifests) > maxArchivedImages {
		return nil, refuseArchive("its %s lists %d images; 1 to %d are taken", dockerManifests, len(manifests), maxArchivedImages)
	}
	var list []packed
	for _, m := range manifests {
		refs, err := taggedRefs(m.RepoTags)
		if err != nil {
			return nil, err
		}
		found := packed{}
		for _, ref := range refs {
			found.refs = append(found.refs, ref.String())
		}
		if found.manifest, err = l.dockerImage(ctx, m); err != nil {
			return nil, err
		}
		list = addPacked(list, found)
	}
	return list, nil
}

func (l *load) dockerImage(ctx context.Context, m dockerManifest) (ocispec.Descriptor, error) {
	config, err := l.configuration(ctx, m.Config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if len(m.Layers) > manifest.MaxLayers {
		return ocispec.Descriptor{}, tooManyLayers(len(m.Layers))
	}
	layers := make([]blob, len(m.Layers))
	for i, name := range m.Layers {
		if layers[i], err = l.namedLayer(ctx, name); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	return l.assemble(ctx, config, layers)
}

func tooManyLayers(n int) error {
	return model.Errorf(model.KindInvalid, "the image has %d layers; at most %d are taken", n, manifest.MaxLayers)
}

// configuration reads the configuration of an image by its name in the archive.
func (l *load) configuration(ctx context.Context, name string) ([]byte, error) {
	if b, ok := l.files.blobs[l.files.resolve(name)]; ok {
		return l.document(ctx, b.desc, manifest.MaxConfig)
	}
	return l.files.document(name)
}

// namedLayer finds a layer by its name in the archive, and what it unpacks to.
func (l *load) namedLayer(ctx context.Context, name string) (blob, error) {
	resolved := l.files.resolve(name)
	b, ok := l.files.blobs[resolved]
	if !ok {
		// It may have looked like a document.
		data, err := l.files.document(name)
		if err != nil {
			return blob{}, err
		}
		b, err = l.layer(ctx, bytes.NewReader(data))
		if err != nil {
			return blob{}, err
		}
	}
	if b.diffID == "" {
		var err error
		if b, err = l.examine(ctx, b); err != nil {
			return blob{}, err
		}
	}
	l.files.addBlob(resolved, b)
	return b, nil
}

// examine finds out what a blob unpacks to that was stored as it is.
func (l *load) examine(ctx context.Context, b blob) (blob, error) {
	stored, err := l.store.content.ReaderAt(ctx, b.desc)
	if err != nil {
		return blob{}, fmt.Errorf("cannot open layer: %w", err)
	}
	defer stored.Close()
	r := bufio.NewReaderSize(io.NewSectionReader(stored, 0, stored.Size()), 64<<10)
	b.desc.MediaType = compression(r)
	if b.diffID, err = unpackTo(ctx, io.Discard, r, l.limits); err != nil {
		return blob{}, brokenStream(err)
	}
	return b, nil
}

// assemble makes the manifest of an image from its configuration, which stays
// what it is, and its layers.
func (l *load) assemble(ctx context.Context, config []byte, layers []blob) (ocispec.Descriptor, error) {
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: images.MediaTypeDockerSchema2Manifest,
		Config:    ocispec.Descriptor{MediaType: images.MediaTypeDockerSchema2Config, Digest: digest.FromBytes(config), Size: int64(len(config))},
		Layers:    []ocispec.Descriptor{},
	}
	for _, layer := range layers {
		m.Layers = append(m.Layers, layer.desc)
	}
	image, err := manifest.Config(config, m)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := l.suits(image); err != nil {
		return ocispec.Descriptor{}, err
	}
	for i, layer := range layers {
		if layer.diffID.String() != image.DiffIDs[i] {
			return ocispec.Descriptor{}, otherBytes()
		}
	}
	// The layers were held to the ratio when they came; how tightly they are
	// packed now is the node's own doing.
	l.limits.Ratio = math.MaxInt64
	if _, err := l.keepDocument(ctx, m.Config.MediaType, config); err != nil {
		return ocispec.Descriptor{}, err
	}
	document, err := json.Marshal(m)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("cannot write the image's manifest: %w", err)
	}
	return l.keepDocument(ctx, m.MediaType, document)
}
