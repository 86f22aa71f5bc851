package build

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// maxManifest is the size of a manifest that anybody takes (OCI distribution
// specification, 4 MiB).
const maxManifest = 4 << 20

// catalogue is a registry of the images that an account has, in the part of
// the OCI distribution specification that pulling needs. It tells of nothing
// else that the node holds: a blob is given out once a manifest of the account
// has named it.
type catalogue struct {
	images Images
	log    *slog.Logger

	mu     sync.Mutex
	byRef  map[string]wire.BaseImage
	opened map[string]bool // digests of blobs
}

// set replaces what the account has.
func (c *catalogue) set(images []wire.BaseImage) {
	byRef := make(map[string]wire.BaseImage, 2*len(images))
	for _, img := range images {
		byRef[img.Ref] = img
		if named, err := reference.ParseNormalizedNamed(img.Ref); err == nil {
			byRef[named.Name()+"@"+img.Image.Digest] = img
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byRef = byRef
	if c.opened == nil {
		c.opened = map[string]bool{}
	}
}

// find returns the image of a name, or of the beginning of an id, which a
// Dockerfile may begin with and which a builder takes for a name of the hub.
func (c *catalogue) find(repository, ref string) (wire.BaseImage, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	separator := ":"
	if strings.Contains(ref, ":") {
		separator = "@"
	}
	if img, ok := c.byRef[repository+separator+ref]; ok {
		return img, true
	}
	id, ok := strings.CutPrefix(repository, "docker.io/library/")
	if !ok || !model.IsIDPrefix(id) || ref != "latest" {
		return wire.BaseImage{}, false
	}
	var found wire.BaseImage
	for _, img := range c.byRef {
		if strings.HasPrefix(img.Image.ID, "sha256:"+id) {
			if found.Image.ID != "" && found.Image.ID != img.Image.ID {
				return wire.BaseImage{}, false
			}
			found = img
		}
	}
	return found, found.Image.ID != ""
}

// ServeHTTP implements http.Handler. The parameter ns says which registry the
// image's name is of.
func (c *catalogue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "images can only be read here", http.StatusMethodNotAllowed)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	var err error
	if repository, ref, ok := cutLast(path, "/manifests/"); ok {
		err = c.manifest(w, r, r.URL.Query().Get("ns")+"/"+repository, ref)
	} else if _, digest, ok := cutLast(path, "/blobs/"); ok {
		err = c.blob(w, r, digest)
	} else {
		err = model.Errorf(model.KindNotFound, "there is nothing here")
	}
	if err == nil {
		return
	}
	if !model.IsKind(err, model.KindNotFound) {
		c.log.Warn("cannot give an image to a builder", "op", "build", "err", err)
	}
	http.Error(w, model.UserText(err), http.StatusNotFound)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (c *catalogue) manifest(w http.ResponseWriter, r *http.Request, repository, ref string) error {
	img, ok := c.find(repository, ref)
	if !ok {
		return model.Errorf(model.KindNotFound, "the account has no such image")
	}
	text, err := c.hold(r.Context(), img)
	if err != nil {
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return model.WrapError(model.KindInternal, err, "cannot read the manifest of image %s", img.Image.ID)
	}
	c.mu.Lock()
	c.opened[m.Config.Digest.String()] = true
	for _, l := range m.Layers {
		c.opened[l.Digest.String()] = true
	}
	c.mu.Unlock()
	kind := m.MediaType
	if kind == "" {
		kind = ocispec.MediaTypeImageManifest
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Docker-Content-Digest", img.Image.Digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if r.Method == http.MethodGet {
		w.Write(text) // a builder that is gone needs none
	}
	return nil
}

// hold makes the node hold an image and returns its manifest.
func (c *catalogue) hold(ctx context.Context, img wire.BaseImage) ([]byte, error) {
	text, err := c.read(ctx, img.Image.Digest)
	if !model.IsKind(err, model.KindNotFound) {
		return text, err
	}
	copying, err := c.images.CopyImage(ctx, wire.CopyRequest{Image: img.Image, Holders: img.Holders, Ref: img.Source})
	if err != nil {
		return nil, err
	}
	defer copying.Close()
	for {
		m, err := copying.Next()
		switch {
		case errors.Is(err, io.EOF), m.Image != nil:
			return c.read(ctx, img.Image.Digest)
		case err != nil:
			return nil, err
		case m.Error != nil:
			return nil, m.Error.Err()
		}
	}
}

func (c *catalogue) read(ctx context.Context, digest string) ([]byte, error) {
	blob, err := c.images.Blob(ctx, digest, 0)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	if blob.Size > maxManifest {
		return nil, model.Errorf(model.KindTooLarge, "the manifest %s is too large", digest)
	}
	return io.ReadAll(io.LimitReader(blob, maxManifest))
}

func (c *catalogue) blob(w http.ResponseWriter, r *http.Request, digest string) error {
	c.mu.Lock()
	open := c.opened[digest]
	c.mu.Unlock()
	if !open {
		return model.Errorf(model.KindNotFound, "no image of the account has this content")
	}
	blob, err := c.images.Blob(r.Context(), digest, 0)
	if err != nil {
		return err
	}
	defer blob.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", strconv.FormatInt(blob.Size, 10))
	if r.Method == http.MethodGet {
		io.Copy(w, blob) // an early end shows by the length
	}
	return nil
}
