package image

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// The documents of an archive, beside those of the OCI specification.
const (
	dockerManifests    = "manifest.json"
	dockerRepositories = "repositories"
)

// dockerManifest is an image in a manifest.json. Config and Layers are names in
// the archive, the lowest layer first.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// repositories are names, tags in them, and the layer that each tag ends with.
type repositories map[string]map[string]string

// layout collects what an archive tells of its images.
type layout struct {
	index        []ocispec.Descriptor
	manifests    []dockerManifest
	repositories repositories
	known        map[string]int // image id → place in manifests
	parts        []ocispec.Descriptor
}

// taggedRefs reads names, each of which must have a tag.
func taggedRefs(names []string) ([]reference.NamedTagged, error) {
	var refs []reference.NamedTagged
	for _, name := range names {
		ref, err := taggedRef(name)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// taggedRef reads a name. One without a tag means latest, one with a digest is
// refused.
func taggedRef(name string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "invalid reference format: %.128q", name)
	}
	ref, ok := reference.TagNameOnly(named).(reference.NamedTagged)
	if _, digested := named.(reference.Digested); !ok || digested {
		return nil, model.Errorf(model.KindInvalid, "%.128q has a digest where archives of images have a tag", name)
	}
	return ref, nil
}

// add puts an image in; one that is in already gets more names.
func (l *layout) add(parts imageParts, refs []reference.NamedTagged) {
	at, again := l.known[parts.image.ID]
	if !again {
		if l.known == nil {
			l.known, l.repositories = make(map[string]int), make(repositories)
		}
		at = len(l.manifests)
		l.known[parts.image.ID] = at
		l.manifests = append(l.manifests, dockerManifest{Config: blobName(parts.manifest.Config.Digest), Layers: []string{}})
		for _, layer := range parts.manifest.Layers {
			l.manifests[at].Layers = append(l.manifests[at].Layers, blobName(layer.Digest))
		}
		l.parts = append(append(l.parts, parts.target, parts.manifest.Config), parts.manifest.Layers...)
	}
	target := parts.target
	target.Platform = &ocispec.Platform{OS: parts.image.OS, Architecture: parts.image.Architecture, Variant: parts.image.Variant}
	if len(refs) == 0 && !again {
		l.index = append(l.index, target)
	}
	for _, ref := range refs {
		familiar := reference.FamiliarString(ref)
		if slices.Contains(l.manifests[at].RepoTags, familiar) {
			continue
		}
		l.manifests[at].RepoTags = append(l.manifests[at].RepoTags, familiar)
		named := target
		named.Annotations = map[string]string{images.AnnotationImageName: ref.String(), ocispec.AnnotationRefName: ref.Tag()}
		l.index = append(l.index, named)
		l.repositories.add(ref, parts.manifest.Layers)
	}
}

func (r repositories) add(ref reference.NamedTagged, layers []ocispec.Descriptor) {
	if len(layers) == 0 {
		return
	}
	name := reference.FamiliarName(ref)
	if r[name] == nil {
		r[name] = make(map[string]string)
	}
	r[name][ref.Tag()] = layers[len(layers)-1].Digest.Encoded()
}

// blobs lists what the archive holds, each part once.
func (l *layout) blobs() []ocispec.Descriptor {
	slices.SortFunc(l.parts, func(a, b ocispec.Descriptor) int {
		if a.Digest < b.Digest {
			return -1
		}
		if a.Digest > b.Digest {
			return 1
		}
		return 0
	})
	return slices.CompactFunc(l.parts, func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest })
}

func blobName(blob digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, blob.Algorithm().String(), blob.Encoded())
}

// archiveDocument is a file that is made for the archive.
type archiveDocument struct {
	name string
	data []byte
}

// documents are what tells of the images. They come before the images' parts,
// so that who reads the archive knows what to expect.
func (l *layout) documents() ([]archiveDocument, error) {
	var list []archiveDocument
	for _, document := range []struct {
		name  string
		value any
	}{
		{ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}},
		{ocispec.ImageIndexFile, ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: l.index,
		}},
		{dockerManifests, l.manifests},
		{dockerRepositories, l.repositories},
	} {
		data, err := json.Marshal(document.value)
		if err != nil {
			return nil, fmt.Errorf("cannot write the archive's %s: %w", document.name, err)
		}
		list = append(list, archiveDocument{document.name, data})
	}
	return list, nil
}
