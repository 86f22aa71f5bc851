package image

import (
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// files are the files of an archive by their names.
type files struct {
	documents map[string][]byte // small ones that say something
	blobs     map[string]blob
	links     map[string]string
}

// blob is a file that is in the content store.
type blob struct {
	desc ocispec.Descriptor
	// diffID is the digest of what a layer unpacks to; "" of a blob that is
	// stored as it was, without a look at it.
	diffID digest.Digest
}

func (f *files) has(name string) bool {
	_, ok := f.documents[f.resolve(name)]
	return ok
}

// maxLinks is how many links a name may lead through.
const maxLinks = 8

// resolve follows links. The name of a loop leads to no file.
func (f *files) resolve(name string) string {
	name = path.Clean(name)
	for range maxLinks {
		target, ok := f.links[name]
		if !ok {
			return name
		}
		name = target
	}
	return ""
}

// link records that a file has another name.
func (f *files) link(name, target string) error {
	if target == ".." || strings.HasPrefix(target, "../") || path.IsAbs(target) {
		return refuseArchive("%.128q is a link that leads out of it", name)
	}
	if f.links == nil {
		f.links = make(map[string]string)
	}
	f.links[name] = target
	return nil
}

func (f *files) addDocument(name string, data []byte) {
	if f.documents == nil {
		f.documents = make(map[string][]byte)
	}
	f.documents[name] = data
}

func (f *files) addBlob(name string, b blob) {
	if f.blobs == nil {
		f.blobs = make(map[string]blob)
	}
	f.blobs[name] = b
}

// document returns a small file.
func (f *files) document(name string) ([]byte, error) {
	data, ok := f.documents[f.resolve(name)]
	if !ok {
		return nil, refuseArchive("%.128q is not in it", name)
	}
	return data, nil
}

// legacyIDs lists the layers of an archive from before Docker 1.10, sorted.
func (f *files) legacyIDs() []string {
	var ids []string
	for name := range f.documents {
		if id, base := path.Split(name); base == legacyConfig && id != "" {
			ids = append(ids, path.Clean(id))
		}
	}
	slices.Sort(ids)
	return ids
}

// entryName reads the name of an archive's entry.
func entryName(name string) (string, error) {
	clean := path.Clean(name)
	if path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsRune(name, 0) {
		return "", refuseArchive("it has an entry %.128q, which leads out of it", name)
	}
	if len(name) > maxEntryName {
		return "", model.Errorf(model.KindTooLarge, "the archive has a name that is longer than %d bytes", maxEntryName)
	}
	return clean, nil
}
