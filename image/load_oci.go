package image

import (
	"context"
	"encoding/json"
	"slices"
	"sort"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/model"
)

// maxManifests bounds what is looked at of indexes within indexes.
const maxManifests = 4096

// findByIndex finds the images of an OCI layout.
func (l *load) findByIndex(ctx context.Context) ([]packed, error) {
	var layout ocispec.ImageLayout
	data, err := l.files.document(ocispec.ImageLayoutFile)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &layout); err != nil || layout.Version != ocispec.ImageLayoutVersion {
		return nil, refuseArchive("its layout has version %.32q; %s is supported", layout.Version, ocispec.ImageLayoutVersion)
	}
	index, err := l.files.document(ocispec.ImageIndexFile)
	if err != nil {
		return nil, err
	}
	entries, err := manifest.Entries(index, ocispec.MediaTypeImageIndex)
	if err != nil {
		return nil, err
	}
	search := indexSearch{load: l, left: maxManifests}
	var list []packed
	for _, entry := range entries {
		if isAttestation(entry) {
			continue
		}
		found, err := search.choose(ctx, entry)
		if err != nil {
			return nil, err
		}
		refs, err := indexRefs(entry)
		if err != nil {
			return nil, err
		}
		list = addPacked(list, packed{found, refs})
	}
	if len(list) == 0 {
		return nil, refuseArchive("its index is empty")
	}
	return list, nil
}

// addPacked adds an image to a list; one that is in it already gets more names.
func addPacked(list []packed, p packed) []packed {
	at := slices.IndexFunc(list, func(other packed) bool { return other.manifest.Digest == p.manifest.Digest })
	if at < 0 {
		at = len(list)
		list = append(list, packed{manifest: p.manifest})
	}
	for _, ref := range p.refs {
		if !slices.Contains(list[at].refs, ref) {
			list[at].refs = append(list[at].refs, ref)
		}
	}
	return list
}

// indexRefs returns the name that an entry of an index has. A mere tag is none:
// it says nothing of the repository.
func indexRefs(entry ocispec.Descriptor) ([]string, error) {
	name := entry.Annotations[images.AnnotationImageName]
	if name == "" {
		name = entry.Annotations[ocispec.AnnotationRefName]
		if !strings.ContainsAny(name, "/:") {
			return nil, nil
		}
	}
	if strings.Contains(name, "@") { // it is what its digest says
		return nil, nil
	}
	ref, err := taggedRef(name)
	if err != nil {
		return nil, err
	}
	return []string{ref.String()}, nil
}

// isAttestation tells whether an entry of an index tells of another entry
// rather than being an image.
func isAttestation(entry ocispec.Descriptor) bool {
	return entry.Platform != nil && entry.Platform.OS == "unknown"
}

// indexSearch looks for images in indexes, some of whose entries the archive
// need not have.
type indexSearch struct {
	load *load
	left int // how many more entries are looked at
}

// leaf is a manifest and what it is for.
type leaf struct {
	desc     ocispec.Descriptor
	platform ocispec.Platform
}

// choose returns the manifest that suits the request best.
func (s *indexSearch) choose(ctx context.Context, entry ocispec.Descriptor) (ocispec.Descriptor, error) {
	leaves, err := s.leaves(ctx, entry, 0)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	l := s.load
	matcher := platforms.Only(l.platform)
	sort.SliceStable(leaves, func(i, j int) bool { return matcher.Less(leaves[i].platform, leaves[j].platform) })
	switch {
	case len(leaves) == 0:
		return ocispec.Descriptor{}, refuseArchive("%s is not in it", entry.Digest)
	case matcher.Match(leaves[0].platform), l.request.Platform == "" && only(leaves):
		return leaves[0].desc, nil
	}
	return ocispec.Descriptor{}, manifest.NoMatch(l.platform)
}

// only tells whether all leaves are the same.
func only(leaves []leaf) bool {
	return !slices.ContainsFunc(leaves, func(l leaf) bool { return l.desc.Digest != leaves[0].desc.Digest })
}

// leaves lists the manifests below an entry that the archive holds.
func (s *indexSearch) leaves(ctx context.Context, entry ocispec.Descriptor, depth int) ([]leaf, error) {
	if s.left--; s.left < 0 || depth > maxIndexDepth {
		return nil, refuseArchive("its index leads to indexes, more than %d deep, or to more than %d manifests", maxIndexDepth, maxManifests)
	}
	if _, ok := s.load.have[entry.Digest]; !ok {
		return nil, nil
	}
	if !manifest.IsIndex(entry.MediaType) {
		return s.leaf(ctx, entry)
	}
	data, err := s.load.document(ctx, entry, manifest.MaxSize)
	if err != nil {
		return nil, err
	}
	below, err := manifest.Entries(data, entry.MediaType)
	if err != nil {
		return nil, err
	}
	var all []leaf
	for _, next := range below {
		if isAttestation(next) {
			continue
		}
		found, err := s.leaves(ctx, next, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (s *indexSearch) leaf(ctx context.Context, desc ocispec.Descriptor) ([]leaf, error) {
	data, err := s.load.document(ctx, desc, manifest.MaxSize)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Parse(data, desc.MediaType)
	if err != nil {
		return nil, err
	}
	if _, ok := s.load.have[m.Config.Digest]; !ok { // saved without what it leads to
		return nil, nil
	}
	_, image, err := s.load.inspect(ctx, desc)
	if err != nil {
		return nil, err
	}
	return []leaf{{desc, ocispec.Platform{OS: image.OS, Architecture: image.Architecture, Variant: image.Variant}}}, nil
}

// keepDocument stores a document that was made of what the archive holds.
func (l *load) keepDocument(ctx context.Context, mediaType string, data []byte) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := l.store.claim(ctx, "content", desc.Digest.String()); err != nil {
		return desc, err
	}
	if err := (&pull{store: l.store}).keep(ctx, desc, data); err != nil {
		return desc, err
	}
	l.have[desc.Digest] = desc.Size
	return desc, nil
}

// suits holds an image without an index to the platform that was asked for.
func (l *load) suits(image model.Image) error {
	if l.request.Platform == "" {
		return nil
	}
	return manifest.Suits(image, l.platform)
}
