package build

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// contentDir is where a builder keeps content, below its cache's folder: the
// store of containerd, a file a blob.
const contentDir = "runc-overlayfs/content/blobs"

// archived is one image of manifest.json in docker's archives.
type archived struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Archive writes an image that the account's builder has made, by the digest
// of its manifest or index, as an archive: an OCI image layout with docker's
// manifest.json. Of an index it takes the image for this machine. KindNotFound
// if the builder does not keep it.
func (b *Builders) Archive(accountID, of string, w io.Writer) error {
	if !accountRule.MatchString(accountID) {
		return model.Errorf(model.KindInvalid, "account %q has no valid id", accountID)
	}
	content := builtContent(filepath.Join(b.cacheDir(accountID), contentDir))
	desc, m, err := content.manifest(of)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	list := []archived{{Config: blobPath(m.Config.Digest), Layers: []string{}}}
	blobs := []digest.Digest{desc.Digest, m.Config.Digest}
	for _, l := range m.Layers {
		list[0].Layers = append(list[0].Layers, blobPath(l.Digest))
		blobs = append(blobs, l.Digest)
	}
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{desc}}
	index.SchemaVersion = 2
	for _, file := range []struct {
		name string
		v    any
	}{
		{ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}},
		{ocispec.ImageIndexFile, index},
		{"manifest.json", list},
	} {
		if err := addJSON(out, file.name, file.v); err != nil {
			return err
		}
	}
	seen := map[digest.Digest]bool{}
	for _, d := range blobs {
		if seen[d] {
			continue
		}
		seen[d] = true
		if err := content.add(out, d); err != nil {
			return err
		}
	}
	return out.Close()
}

// builtContent is the folder of a builder's content.
type builtContent string

func (c builtContent) open(d digest.Digest) (*os.File, error) {
	if err := d.Validate(); err != nil {
		return nil, model.Errorf(model.KindInvalid, "%q is no digest", d)
	}
	f, err := os.Open(filepath.Join(string(c), d.Algorithm().String(), d.Encoded()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.Errorf(model.KindNotFound, "the builder does not have %s, or not any more; build again", d)
	}
	return f, err
}

func (c builtContent) json(d digest.Digest, v any) (size int64, err error) {
	f, err := c.open(d)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return 0, fmt.Errorf("cannot read what was built: %w", err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return 0, fmt.Errorf("cannot read what was built: %w", err)
	}
	return int64(len(text)), nil
}

// manifest finds the manifest of the image for this machine.
func (c builtContent) manifest(of string) (desc ocispec.Descriptor, m ocispec.Manifest, err error) {
	d := digest.Digest(of)
	var either struct {
		ocispec.Manifest
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	size, err := c.json(d, &either)
	if err != nil {
		return desc, m, err
	}
	for _, found := range either.Manifests {
		if p := found.Platform; p != nil && p.OS == "linux" && p.Architecture == runtime.GOARCH {
			return c.manifest(found.Digest.String())
		}
	}
	if len(either.Manifests) > 0 {
		return desc, m, model.Errorf(model.KindNotFound, "what was built has no image for linux/%s", runtime.GOARCH)
	}
	kind := either.MediaType
	if kind == "" {
		kind = ocispec.MediaTypeImageManifest
	}
	return ocispec.Descriptor{MediaType: kind, Digest: d, Size: size}, either.Manifest, nil
}

// add copies a blob into an archive.
func (c builtContent) add(out *tar.Writer, d digest.Digest) error {
	f, err := c.open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot read what was built: %w", err)
	}
	if err := out.WriteHeader(&tar.Header{Name: blobPath(d), Mode: 0o644, Size: st.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}

func blobPath(d digest.Digest) string {
	return ocispec.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

func addJSON(out *tar.Writer, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
