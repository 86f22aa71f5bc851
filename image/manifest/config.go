package manifest

import (
	"encoding/json"

	"github.com/containerd/platforms"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// document is an image's configuration: what the OCI specification has and
// what only Docker's has.
type document struct {
	ocispec.Image
	Comment string                          `json:"comment,omitempty"`
	Config  dockerspec.DockerOCIImageConfig `json:"config"`
}

// Config reads an image's configuration and holds it to the manifest it came
// with. Sizes are not in it; the caller adds them (Sizes).
func Config(data []byte, m ocispec.Manifest) (model.Image, error) {
	var d document
	if len(data) > MaxConfig {
		return model.Image{}, model.Errorf(model.KindInvalid, "the image's configuration has more than %d bytes", MaxConfig)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return model.Image{}, model.WrapError(model.KindInvalid, err, "the image's configuration cannot be read")
	}
	if err := checkLayers(d, m); err != nil {
		return model.Image{}, err
	}
	config := decodeConfig(d.Config)
	if err := checkConfig(config); err != nil {
		return model.Image{}, err
	}
	image := model.Image{
		ID:           digest.FromBytes(data).String(),
		OS:           d.OS,
		Architecture: d.Architecture,
		Variant:      d.Variant,
		Author:       d.Author,
		Comment:      d.Comment,
		Config:       config,
	}
	if d.Created != nil {
		image.Created = d.Created.UTC()
	}
	for _, id := range d.RootFS.DiffIDs {
		image.DiffIDs = append(image.DiffIDs, id.String())
	}
	for _, h := range d.History {
		line := model.ImageHistory{CreatedBy: h.CreatedBy, Author: h.Author, Comment: h.Comment, EmptyLayer: h.EmptyLayer}
		if h.Created != nil {
			line.Created = h.Created.UTC()
		}
		image.History = append(image.History, line)
	}
	return image, nil
}

func checkLayers(d document, m ocispec.Manifest) error {
	if len(d.RootFS.DiffIDs) != len(m.Layers) {
		return model.Errorf(model.KindInvalid, "the image's configuration names %d layers, its manifest %d", len(d.RootFS.DiffIDs), len(m.Layers))
	}
	for _, id := range d.RootFS.DiffIDs {
		if err := id.Validate(); err != nil || id.Algorithm() != digest.SHA256 {
			return model.Errorf(model.KindInvalid, "the image's configuration names a layer %.80q, which is no sha256 digest", id)
		}
	}
	if len(d.History) > maxHistory {
		return model.Errorf(model.KindInvalid, "the image has more than %d lines of history", maxHistory)
	}
	if d.OS == "" || d.Architecture == "" {
		return model.Errorf(model.KindInvalid, "the image's configuration names no platform")
	}
	return nil
}

// Suits returns an error, as NoMatch, if an image is for another platform than
// the one that was asked for.
func Suits(image model.Image, want ocispec.Platform) error {
	actual := ocispec.Platform{OS: image.OS, Architecture: image.Architecture, Variant: image.Variant}
	if !platforms.Only(want).Match(actual) {
		return NoMatch(want)
	}
	return nil
}

// Sizes gives an image the sizes of its unpacked layers, lowest first, and
// spreads them over the history, whose lines without a layer have none.
func Sizes(image *model.Image, layers []int64) {
	image.Size = 0
	for _, size := range layers {
		image.Size += size
	}
	for i := range image.History {
		if image.History[i].EmptyLayer || len(layers) == 0 {
			continue
		}
		image.History[i].Size, layers = layers[0], layers[1:]
	}
}
