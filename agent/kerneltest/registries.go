package kerneltest

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/registry"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

func denied(ref string) error {
	return model.Errorf(model.KindNotFound, "pull access denied for %s", ref)
}

// Push sends an image to wiretest.GoodRef, and never ends with
// wiretest.EndlessRef.
func (d *imageDriver) Push(ctx context.Context, r image.PushRequest, progress func(image.Progress)) (ocispec.Descriptor, error) {
	progress(image.Progress{Layer: "0123456789ab", Status: image.StatusPushing, Current: 1, Total: 2})
	switch r.Ref {
	case wiretest.GoodRef:
		return ocispec.Descriptor{Digest: digest.Digest(wiretest.PushedDigest), Size: 7}, nil
	case wiretest.EndlessRef:
		<-ctx.Done()
		return ocispec.Descriptor{}, ctx.Err()
	}
	return ocispec.Descriptor{}, model.Errorf(model.KindForbidden, "denied: requested access to the resource is denied")
}

// Resolve knows wiretest.GoodRef.
func (d *imageDriver) Resolve(_ context.Context, r image.PullRequest) (ocispec.Descriptor, []ocispec.Platform, error) {
	if r.Ref != wiretest.GoodRef {
		return ocispec.Descriptor{}, nil, denied(r.Ref)
	}
	return ocispec.Descriptor{Digest: digest.Digest(wiretest.ImageID), Size: 7}, []ocispec.Platform{{OS: "linux", Architecture: "amd64"}}, nil
}

// Tags knows those of wiretest.GoodRef.
func (d *imageDriver) Tags(_ context.Context, r image.PullRequest) ([]string, error) {
	if r.Ref != wiretest.GoodRef {
		return nil, denied(r.Ref)
	}
	return []string{"latest"}, nil
}

// Search finds what was searched for.
func (d *imageDriver) Search(_ context.Context, r image.SearchRequest) ([]registry.Found, error) {
	return []registry.Found{{Name: r.Term, Official: true}}, nil
}
