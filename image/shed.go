package image

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// Shed makes room: it gives up the packed layers of an image that the node
// holds unpacked, if one peer has all of them, and returns how many bytes became
// free. Containers of the image can be made as before; who wants the packed
// layers, to copy, to save or to push, has to ask that peer.
func (s *Store) Shed(ctx context.Context, imageID string, peers []Peer) (freed int64, err error) {
	ctx = scoped(ctx)
	record, err := s.images.Get(ctx, imageID)
	if errdefs.IsNotFound(err) {
		return 0, noSuchImage(imageID)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read image: %w", err)
	}
	document, err := content.ReadBlob(ctx, s.content, record.Target)
	if err != nil {
		return 0, fmt.Errorf("cannot read manifest: %w", err)
	}
	m, err := manifest.Parse(document, record.Target.MediaType)
	if err != nil {
		return 0, err
	}
	shed := make(map[digest.Digest]int64)
	for _, layer := range m.Layers {
		if _, err := s.content.Info(ctx, layer.Digest); err == nil {
			shed[layer.Digest] = layer.Size
		}
	}
	whole := func(p Peer) bool {
		return !slices.ContainsFunc(m.Layers, func(layer ocispec.Descriptor) bool { return !has(ctx, p, layer) })
	}
	if len(shed) == 0 || !slices.ContainsFunc(peers, whole) {
		return 0, ctx.Err()
	}
	if err := s.letGo(ctx, record, shed); err != nil {
		return 0, err
	}
	for layer, size := range shed {
		if _, err := s.content.Info(ctx, layer); errdefs.IsNotFound(err) { // else something else needs it
			freed += size
		}
	}
	return freed, nil
}

// has asks a peer for a part, without reading it.
func has(ctx context.Context, p Peer, part ocispec.Descriptor) bool {
	size, r, err := p.Blob(ctx, part.Digest.String(), 0)
	if err != nil {
		return false
	}
	r.Close()
	return size == part.Size
}

// layerLabels begin the names of those labels of an image that hold its packed
// layers.
const layerLabels = "containerd.io/gc.ref.content.l."

// letGo takes layers out of what the image holds, and collects them.
func (s *Store) letGo(ctx context.Context, record images.Image, layers map[digest.Digest]int64) error {
	kept := make(map[string]string)
	for name, value := range record.Labels {
		if _, going := layers[digest.Digest(value)]; !going || !strings.HasPrefix(name, layerLabels) {
			kept[name] = value
		}
	}
	record.Labels = kept
	if _, err := s.images.Update(ctx, record, "labels"); err != nil {
		return fmt.Errorf("cannot give up packed layers: %w", err)
	}
	if err := failpoint.Hit("image.shed.let-go"); err != nil {
		return err
	}
	return s.CollectGarbage(ctx)
}

// ForgetInterrupted gives up what interrupted pulls have downloaded, a day
// before that would happen by itself.
func (s *Store) ForgetInterrupted(ctx context.Context) error {
	ctx = scoped(ctx)
	found, err := s.leases.List(ctx)
	if err != nil {
		return fmt.Errorf("cannot list leases: %w", err)
	}
	for _, lease := range found {
		s.mu.Lock()
		idle := lease.Labels[refLabel] != "" && !s.pulls[lease.ID]
		s.mu.Unlock()
		if !idle {
			continue
		}
		if err := s.leases.Delete(ctx, lease); err != nil && !errdefs.IsNotFound(err) {
			return model.WrapError(model.KindInternal, err, "cannot give up an interrupted pull")
		}
	}
	return s.CollectGarbage(ctx)
}
