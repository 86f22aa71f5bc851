package image

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/model"
)

// viewKey is the key of the snapshot that shows an image's whole tree. It
// keeps the layers, and tells where they are, without a snapshot for each
// container.
func viewKey(imageID string) string { return "image-" + imageID }

// keepView makes the view of an image. A view that is there is kept: it
// belongs to the same id, so it shows the same layers.
func (s *Store) keepView(ctx context.Context, imageID string, chain []string) error {
	parent := ""
	if len(chain) > 0 {
		parent = chain[len(chain)-1]
	}
	if err := s.claim(ctx, "snapshots/"+s.snapshotter, viewKey(imageID)); err != nil {
		return err
	}
	_, err := s.layers.View(ctx, viewKey(imageID), parent)
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return storageError("join the image's layers", err)
	}
	return nil
}

// Get returns an image that the node holds whole, or KindNotFound.
func (s *Store) Get(ctx context.Context, imageID string) (model.Image, error) {
	h, err := s.hold(scoped(ctx), imageID)
	if err != nil {
		return model.Image{}, err
	}
	return clone(h.image), nil
}

// clone keeps callers from changing what the store remembers.
func clone(image model.Image) model.Image {
	image.DiffIDs = slices.Clone(image.DiffIDs)
	image.History = slices.Clone(image.History)
	return image
}

func (s *Store) hold(ctx context.Context, imageID string) (held, error) {
	s.mu.Lock()
	h, ok := s.known[imageID]
	s.mu.Unlock()
	if ok {
		return h, nil
	}
	h, err := s.load(ctx, imageID)
	if err != nil {
		return held{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// It may have been removed while it was read.
	if _, err := s.images.Get(ctx, imageID); err != nil {
		return held{}, noSuchImage(imageID)
	}
	s.known[imageID] = h
	return h, nil
}

func noSuchImage(imageID string) error {
	return model.Errorf(model.KindNotFound, "No such image: %.80s", imageID)
}

// load reads an image from what is on disk.
func (s *Store) load(ctx context.Context, imageID string) (held, error) {
	record, err := s.images.Get(ctx, imageID)
	if errdefs.IsNotFound(err) {
		return held{}, noSuchImage(imageID)
	}
	if err != nil {
		return held{}, fmt.Errorf("cannot read image: %w", err)
	}
	document, err := content.ReadBlob(ctx, s.content, record.Target)
	if err != nil {
		return held{}, fmt.Errorf("cannot read manifest: %w", err)
	}
	m, err := manifest.Parse(document, record.Target.MediaType)
	if err != nil {
		return held{}, err
	}
	config, err := content.ReadBlob(ctx, s.content, m.Config)
	if err != nil {
		return held{}, fmt.Errorf("cannot read configuration: %w", err)
	}
	image, err := manifest.Config(config, m)
	if err != nil {
		return held{}, err
	}
	image.Digest, image.MediaType = record.Target.Digest.String(), record.Target.MediaType
	if err := s.addSizes(ctx, &image); err != nil {
		return held{}, err
	}
	mounts, err := s.layers.Mounts(ctx, viewKey(imageID))
	if err != nil {
		return held{}, fmt.Errorf("cannot find the image's layers: %w", err)
	}
	lowers, _, err := lowerDirs(mounts)
	return held{image: image, lowers: lowers}, err
}

func (s *Store) addSizes(ctx context.Context, image *model.Image) error {
	var sizes []int64
	for _, name := range chainIDs(image.DiffIDs) {
		info, err := s.layers.Stat(ctx, name)
		if err != nil {
			return fmt.Errorf("cannot find layer: %w", err)
		}
		size, err := strconv.ParseInt(info.Labels[sizeLabel], 10, 64)
		if err != nil {
			return fmt.Errorf("cannot read the size of a layer: %w", err)
		}
		sizes = append(sizes, size)
	}
	manifest.Sizes(image, sizes)
	return nil
}

// List returns the ids of all images that the node holds whole, sorted.
func (s *Store) List(ctx context.Context) ([]string, error) {
	records, err := s.images.List(scoped(ctx))
	if err != nil {
		return nil, fmt.Errorf("cannot list images: %w", err)
	}
	ids := make([]string, len(records))
	for i, record := range records {
		ids[i] = record.Name
	}
	slices.Sort(ids)
	return ids, nil
}

// Remove forgets an image and gives back the space that nothing shares. It is
// refused with KindConflict while a root uses the image; KindNotFound if the
// node does not hold it.
func (s *Store) Remove(ctx context.Context, imageID string) error {
	if err := s.forget(scoped(ctx), imageID); err != nil {
		return err
	}
	return s.CollectGarbage(ctx)
}

// forget removes the record of an image. No root can be prepared meanwhile.
func (s *Store) forget(ctx context.Context, imageID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for container, image := range s.roots {
		if image == imageID {
			return model.Errorf(model.KindConflict, "image %s is being used by container %s", model.ShortID(trimAlgorithm(imageID)), model.ShortID(container))
		}
	}
	err := s.images.Delete(ctx, imageID)
	if errdefs.IsNotFound(err) {
		return noSuchImage(imageID)
	}
	if err != nil {
		return fmt.Errorf("cannot forget image: %w", err)
	}
	delete(s.known, imageID)
	return nil
}

func trimAlgorithm(id string) string {
	const sha256 = "sha256:"
	if len(id) > len(sha256) && id[:len(sha256)] == sha256 {
		return id[len(sha256):]
	}
	return id
}
