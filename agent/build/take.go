package build

import (
	"context"
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

// Content is the content that a builder keeps. It gives it out as a node does
// of which images are copied: what the node holds already is not copied.
type Content struct{ dir string }

// Built finds an image that the account's builder has made, by the digest of its
// manifest or index, of which it takes the image for this machine. All that the
// image is made of is in the content. KindNotFound if the builder does not keep
// all of it.
func (b *Builders) Built(accountID, of string) (model.Image, Content, error) {
	if !accountRule.MatchString(accountID) {
		return model.Image{}, Content{}, model.Errorf(model.KindInvalid, "account %q has no valid id", accountID)
	}
	content := Content{filepath.Join(b.cacheDir(accountID), contentDir)}
	desc, m, err := content.manifest(of)
	if err != nil {
		return model.Image{}, content, err
	}
	var config ocispec.Platform
	if err := content.json(m.Config.Digest, &config); err != nil {
		return model.Image{}, content, err
	}
	// Who has the bytes may have the image, and nobody else.
	for _, layer := range m.Layers {
		file, err := content.open(layer.Digest)
		if err != nil {
			return model.Image{}, content, err
		}
		file.Close()
	}
	return model.Image{
		ID: m.Config.Digest.String(), Digest: desc.Digest.String(), MediaType: desc.MediaType,
		OS: config.OS, Architecture: config.Architecture, Variant: config.Variant,
	}, content, nil
}

// Blob opens content from offset on and tells how long all of it is. KindNotFound
// if the builder does not keep it.
func (c Content) Blob(_ context.Context, of string, offset int64) (size int64, r io.ReadCloser, err error) {
	file, err := c.open(digest.Digest(of))
	if err != nil {
		return 0, nil, err
	}
	st, err := file.Stat()
	if err == nil {
		_, err = file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return 0, nil, fmt.Errorf("cannot read what was built: %w", err)
	}
	return st.Size(), file, nil
}

func (c Content) open(d digest.Digest) (*os.File, error) {
	if err := d.Validate(); err != nil {
		return nil, model.Errorf(model.KindInvalid, "%q is no digest", d)
	}
	f, err := os.Open(filepath.Join(c.dir, d.Algorithm().String(), d.Encoded()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.Errorf(model.KindNotFound, "the builder does not have %s, or not any more; build again", d)
	}
	return f, err
}

func (c Content) json(d digest.Digest, v any) error {
	f, err := c.open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("cannot read what was built: %w", err)
	}
	return nil
}

// manifest finds the manifest of the image for this machine.
func (c Content) manifest(of string) (desc ocispec.Descriptor, m ocispec.Manifest, err error) {
	d := digest.Digest(of)
	var either struct {
		ocispec.Manifest
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := c.json(d, &either); err != nil {
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
	return ocispec.Descriptor{MediaType: kind, Digest: d}, either.Manifest, nil
}
