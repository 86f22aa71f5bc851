package manifest

import (
	"github.com/containerd/containerd/v2/core/images"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// maxBlob is what a compressed layer may have; more could not be unpacked.
const maxBlob = 10 << 30

// Parse reads the manifest of an image.
func Parse(data []byte, mediaType string) (ocispec.Manifest, error) {
	var m ocispec.Manifest
	if mediaType == images.MediaTypeDockerSchema1Manifest || mediaType == mediaTypeSignedSchema1 {
		return m, model.Errorf(model.KindInvalid, "the image has a manifest of Docker's schema 1, which is no longer supported; push it again with a current tool")
	}
	if !images.IsManifestType(mediaType) {
		return m, model.Errorf(model.KindInvalid, "%.128q is not the type of an image's manifest", mediaType)
	}
	if err := decode(data, mediaType, []string{"manifests", "fsLayers"}, &m); err != nil {
		return m, err
	}
	if m.SchemaVersion != 2 {
		return m, model.Errorf(model.KindInvalid, "the manifest has schema version %d; 2 is supported", m.SchemaVersion)
	}
	if m.Config.MediaType != images.MediaTypeDockerSchema2Config && m.Config.MediaType != ocispec.MediaTypeImageConfig {
		return m, model.Errorf(model.KindInvalid, "it is no image: its configuration is of type %.128q", m.Config.MediaType)
	}
	if err := checkDescriptor(m.Config, MaxConfig); err != nil {
		return m, err
	}
	if len(m.Layers) > MaxLayers {
		return m, model.Errorf(model.KindInvalid, "the image has %d layers; at most %d are taken", len(m.Layers), MaxLayers)
	}
	for i := range m.Layers {
		if err := checkLayer(m.Layers[i]); err != nil {
			return m, err
		}
		// Bytes inside of a descriptor and other places for them are not
		// taken: a layer comes from the registry that was asked.
		m.Layers[i].Data, m.Layers[i].URLs = nil, nil
	}
	m.Config.Data, m.Config.URLs = nil, nil
	return m, nil
}

const mediaTypeSignedSchema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

func checkLayer(d ocispec.Descriptor) error {
	switch d.MediaType {
	case images.MediaTypeDockerSchema2Layer, images.MediaTypeDockerSchema2LayerGzip, images.MediaTypeDockerSchema2LayerZstd,
		ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd:
		return checkDescriptor(d, maxBlob)
	case images.MediaTypeDockerSchema2LayerForeign, images.MediaTypeDockerSchema2LayerForeignGzip,
		//lint:ignore SA1019 deprecated, and still found in registries
		ocispec.MediaTypeImageLayerNonDistributable, ocispec.MediaTypeImageLayerNonDistributableGzip, ocispec.MediaTypeImageLayerNonDistributableZstd:
		return model.Errorf(model.KindInvalid, "the image has a layer that its maker lets only be fetched from elsewhere (%s), which is not supported", d.MediaType)
	}
	return model.Errorf(model.KindInvalid, "the image has a layer of type %.128q, which is not supported", d.MediaType)
}
