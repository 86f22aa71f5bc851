package manifest

import (
	"encoding/json"
	"sort"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// Limits of documents.
const (
	MaxSize    = 4 << 20 // bytes of an index or manifest
	MaxConfig  = 8 << 20 // bytes of a configuration
	MaxLayers  = 256
	maxEntries = 4096 // of an index
)

// IsIndex tells whether a media type is that of an index or manifest list.
func IsIndex(mediaType string) bool { return images.IsIndexType(mediaType) }

// Platform reads "os/arch[/variant]"; "" is this machine's platform.
func Platform(platform string) (ocispec.Platform, error) {
	if platform == "" {
		return platforms.DefaultSpec(), nil
	}
	p, err := platforms.Parse(platform)
	if err != nil {
		return ocispec.Platform{}, model.WrapError(model.KindInvalid, err, "%.64q is no platform; use os/architecture, as linux/amd64", platform)
	}
	return p, nil
}

// NoMatch is the error for an image that has nothing for a platform, in
// Docker's words.
func NoMatch(want ocispec.Platform) error {
	return model.Errorf(model.KindNotFound, "no matching manifest for %s in the manifest list entries", platforms.Format(want))
}

func parseIndex(index []byte, mediaType string) (ocispec.Index, error) {
	var document ocispec.Index
	if err := decode(index, mediaType, []string{"config", "layers", "fsLayers"}, &document); err != nil {
		return ocispec.Index{}, err
	}
	if len(document.Manifests) > maxEntries {
		return ocispec.Index{}, model.Errorf(model.KindInvalid, "the manifest list has more than %d entries", maxEntries)
	}
	return document, nil
}

// Choose returns the manifest of an index that suits a platform best.
func Choose(index []byte, mediaType string, want ocispec.Platform) (ocispec.Descriptor, error) {
	document, err := parseIndex(index, mediaType)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	matcher := platforms.Only(want)
	var fit []ocispec.Descriptor
	for _, entry := range document.Manifests {
		if entry.Platform != nil && matcher.Match(*entry.Platform) && (images.IsManifestType(entry.MediaType) || IsIndex(entry.MediaType)) {
			fit = append(fit, entry)
		}
	}
	if len(fit) == 0 {
		return ocispec.Descriptor{}, NoMatch(want)
	}
	sort.SliceStable(fit, func(i, j int) bool { return matcher.Less(*fit[i].Platform, *fit[j].Platform) })
	return fit[0], checkDescriptor(fit[0], MaxSize)
}

// Entries returns what an index lists, in its order.
func Entries(index []byte, mediaType string) ([]ocispec.Descriptor, error) {
	document, err := parseIndex(index, mediaType)
	if err != nil {
		return nil, err
	}
	for _, entry := range document.Manifests {
		if err := checkDescriptor(entry, MaxSize); err != nil {
			return nil, err
		}
	}
	return document.Manifests, nil
}

// Platforms returns the platforms that an index has something for, in its
// order.
func Platforms(index []byte, mediaType string) ([]ocispec.Platform, error) {
	document, err := parseIndex(index, mediaType)
	if err != nil {
		return nil, err
	}
	var list []ocispec.Platform
	for _, entry := range document.Manifests {
		if entry.Platform != nil {
			list = append(list, *entry.Platform)
		}
	}
	return list, nil
}

func checkDescriptor(d ocispec.Descriptor, limit int64) error {
	if err := d.Digest.Validate(); err != nil {
		return model.WrapError(model.KindInvalid, err, "the manifest holds a digest that is none")
	}
	if d.Size < 0 || d.Size > limit {
		return model.Errorf(model.KindInvalid, "the manifest names a part of %d bytes; at most %d are taken", d.Size, limit)
	}
	return nil
}

// decode reads a document that must be of the media type it came with, and
// must not be readable as another kind of document too: two readers of one
// digest must never see two images.
func decode(data []byte, mediaType string, foreign []string, v any) error {
	if len(data) > MaxSize {
		return model.Errorf(model.KindInvalid, "the manifest has more than %d bytes", MaxSize)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return model.WrapError(model.KindInvalid, err, "the manifest is no JSON object")
	}
	for _, name := range foreign {
		if _, ok := fields[name]; ok {
			return model.Errorf(model.KindInvalid, "the manifest is of type %.128q and has a field %q, which belongs to another type", mediaType, name)
		}
	}
	var own string
	if raw, ok := fields["mediaType"]; ok && (json.Unmarshal(raw, &own) != nil || own != "" && own != mediaType) {
		return model.Errorf(model.KindInvalid, "the manifest says that it is of type %.128q, the registry said %.128q", own, mediaType)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return model.WrapError(model.KindInvalid, err, "the manifest cannot be read")
	}
	return nil
}
