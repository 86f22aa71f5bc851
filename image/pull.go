package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/image/registry"
	"github.com/spearheadcloud/spearhead/image/unpack"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// PullRequest names an image at a registry and how the user is known there.
// The credentials live as long as the request; they are not stored or logged.
type PullRequest struct {
	Ref           string // with a tag or a digest; without either it is latest
	Platform      string // "os/arch[/variant]"; "" is this machine's
	Username      string
	Password      string
	IdentityToken string
	RegistryToken string
}

const (
	resolveTimeout = 2 * time.Minute
	maxIndexDepth  = 4
)

// Pull makes the node hold an image whole and returns it, with the digest that
// the name resolved to (an index's, where there is one) and whether the image
// is new here. The registry is asked in any case: who may not read the image
// there does not get it here either.
//
// Pulls of the same layers at the same time share the work. When ctx ends, or
// the registry does, what was downloaded stays for a day so that another pull
// goes on from there. Errors have the kinds and the texts that package registry
// gives them; an image that breaks a rule is KindInvalid, a full disk
// KindExhausted.
func (s *Store) Pull(ctx context.Context, r PullRequest, progress func(Progress)) (image model.Image, resolvedDigest string, isNew bool, err error) {
	ref, err := parseRef(r.Ref)
	if err != nil {
		return model.Image{}, "", false, err
	}
	platform, err := manifest.Platform(r.Platform)
	if err != nil {
		return model.Image{}, "", false, err
	}
	client, err := s.policy.NewClient(ref, r.credentials(), registry.Pull)
	if err != nil {
		return model.Image{}, "", false, err
	}
	defer client.Close()
	p := &pull{store: s, limits: s.limits, client: client, ref: ref, platform: platform, report: &reporter{send: progress}}

	leased, release, err := s.lease(scoped(ctx), ref.String())
	if err != nil {
		return model.Image{}, "", false, err
	}
	image, err = p.run(leased)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		release(err)
		return model.Image{}, "", false, err
	}
	release(nil)
	return image, p.resolved.Digest.String(), p.isNew, nil
}

func (r PullRequest) credentials() registry.Credentials {
	return registry.Credentials{Username: r.Username, Password: r.Password, IdentityToken: r.IdentityToken, RegistryToken: r.RegistryToken}
}

// parseRef reads an image's name as Docker does.
func parseRef(name string) (reference.Named, error) {
	ref, err := reference.ParseDockerRef(name)
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "invalid reference format: %.128q", name)
	}
	return ref, nil
}

// source is where a pull finds the parts of an image: a registry, or other
// nodes.
type source interface {
	// Resolve tells what the image's name points to.
	Resolve(ctx context.Context) (ocispec.Descriptor, error)
	// Fetch opens a part. The reader can be rewound.
	Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error)
	// Explain gives an error of a reader its kind and its text.
	Explain(err error) error
	// Vouched reports whether parts that are here already may be used without
	// their being asked for: who asks for the image has it, says a head.
	Vouched() bool
}

// pull is one pull under way.
type pull struct {
	store    *Store
	limits   unpack.Limits
	client   source
	ref      reference.Named // what the registry calls it; nil if it is of none
	platform ocispec.Platform
	report   *reporter

	resolved ocispec.Descriptor // what the name points to
	isNew    bool
}

func (p *pull) run(ctx context.Context) (model.Image, error) {
	desc, document, err := p.findManifest(ctx)
	if err != nil {
		return model.Image{}, err
	}
	m, err := manifest.Parse(document, desc.MediaType)
	if err != nil {
		return model.Image{}, err
	}
	config, err := p.document(ctx, m.Config, manifest.MaxConfig)
	if err != nil {
		return model.Image{}, err
	}
	image, err := manifest.Config(config, m)
	if err != nil {
		return model.Image{}, err
	}
	if err := manifest.Suits(image, p.platform); err != nil {
		return model.Image{}, err
	}
	if image.ID != m.Config.Digest.String() {
		return model.Image{}, model.Errorf(model.KindInvalid, "the image's configuration has a digest that is not of sha256")
	}
	if err := p.keep(ctx, desc, document); err != nil {
		return model.Image{}, err
	}
	if err := p.keep(ctx, m.Config, config); err != nil {
		return model.Image{}, err
	}
	if err := p.layers(ctx, m, image); err != nil {
		return model.Image{}, err
	}
	if err := failpoint.Hit("image.pull.before-record"); err != nil {
		return model.Image{}, err
	}
	if p.isNew, err = p.store.record(ctx, image.ID, desc, m, chainIDs(image.DiffIDs)); err != nil {
		return model.Image{}, err
	}
	return p.store.Get(ctx, image.ID)
}

// findManifest follows indexes from what the name points to down to the
// manifest for the platform.
func (p *pull) findManifest(ctx context.Context) (ocispec.Descriptor, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	desc, err := p.client.Resolve(ctx)
	if err != nil {
		return desc, nil, err
	}
	p.resolved = desc
	for range maxIndexDepth {
		data, err := p.document(ctx, desc, manifest.MaxSize)
		if err != nil {
			return desc, nil, err
		}
		if !manifest.IsIndex(desc.MediaType) {
			return desc, data, nil
		}
		if desc, err = manifest.Choose(data, desc.MediaType, p.platform); err != nil {
			return desc, nil, err
		}
	}
	return desc, nil, model.Errorf(model.KindInvalid, "the manifest list leads to manifest lists, more than %d deep", maxIndexDepth)
}

// record publishes an image whose parts are all here, in one step.
func (s *Store) record(ctx context.Context, id string, desc ocispec.Descriptor, m ocispec.Manifest, chain []string) (isNew bool, err error) {
	if err := s.keepView(ctx, id, chain); err != nil {
		return false, err
	}
	labels := map[string]string{
		"containerd.io/gc.ref.content.config":            m.Config.Digest.String(),
		"containerd.io/gc.ref.snapshot." + s.snapshotter: viewKey(id),
	}
	for i, layer := range m.Layers {
		labels[fmt.Sprintf("containerd.io/gc.ref.content.l.%d", i)] = layer.Digest.String()
	}
	desc.URLs, desc.Data, desc.Annotations = nil, nil, nil
	_, err = s.images.Create(ctx, images.Image{Name: id, Target: desc, Labels: labels})
	if errdefs.IsAlreadyExists(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot record image: %w", err)
	}
	return true, nil
}

// resumable tells whether what a failed pull downloaded is worth keeping.
func resumable(err error) bool {
	return model.IsKind(err, model.KindUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
