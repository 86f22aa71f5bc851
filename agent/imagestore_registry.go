package agent

import (
	"context"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/registry"
	"github.com/spearheadcloud/spearhead/wire"
)

// Registries is what the agent asks of package image about registries, beside
// pulls.
type Registries interface {
	Push(ctx context.Context, r image.PushRequest, progress func(image.Progress)) (ocispec.Descriptor, error)
	Resolve(ctx context.Context, r image.PullRequest) (ocispec.Descriptor, []ocispec.Platform, error)
	Tags(ctx context.Context, r image.PullRequest) ([]string, error)
	Search(ctx context.Context, r image.SearchRequest) ([]registry.Found, error)
}

// PushImage implements wire.Agent. The push ends with ctx, with the stream's
// Close, and with the agent.
func (a *Agent) PushImage(ctx context.Context, r wire.PushRequest) (wire.PushStream, error) {
	s, err := carry(ctx, a, func(s *stream[wire.PushMessage]) { a.push(s, r) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (a *Agent) push(s *stream[wire.PushMessage], r wire.PushRequest) {
	desc, err := a.drivers.Images.Push(s.ctx, image.PushRequest{ImageID: r.ImageID, Ref: r.Ref, Credentials: credentials(r.Auth)},
		func(p image.Progress) {
			s.send(wire.PushMessage{Progress: &wire.PullProgress{Layer: p.Layer, Status: p.Status, Current: p.Current, Total: p.Total}})
		})
	if err != nil {
		if s.ctx.Err() == nil {
			a.log.Warn("cannot push an image", "op", "push", "err", err)
		}
		s.send(wire.PushMessage{Error: wire.NewErrorBody(err)})
		return
	}
	s.send(wire.PushMessage{Pushed: &wire.PushedImage{Digest: desc.Digest.String(), Size: desc.Size}})
}

// credentials are how a user is known to a registry.
func credentials(auth wire.RegistryAuth) registry.Credentials {
	return registry.Credentials{
		Username: auth.Username, Password: auth.Password, IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
	}
}

// question is a pull request that is not to fetch anything.
func question(r wire.PullRequest) image.PullRequest {
	return image.PullRequest{
		Ref: r.Ref, Platform: r.Platform, Username: r.Auth.Username, Password: r.Auth.Password,
		IdentityToken: r.Auth.IdentityToken, RegistryToken: r.Auth.RegistryToken,
	}
}

// ResolveImage implements wire.Agent.
func (a *Agent) ResolveImage(ctx context.Context, r wire.PullRequest) (wire.ResolvedImage, error) {
	desc, platforms, err := a.drivers.Images.Resolve(ctx, question(r))
	if err != nil {
		return wire.ResolvedImage{}, err
	}
	resolved := wire.ResolvedImage{Digest: desc.Digest.String(), MediaType: desc.MediaType, Size: desc.Size, Platforms: []wire.Platform{}}
	for _, p := range platforms {
		resolved.Platforms = append(resolved.Platforms, wire.Platform{
			OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures,
		})
	}
	return resolved, nil
}

// ListTags implements wire.Agent.
func (a *Agent) ListTags(ctx context.Context, r wire.PullRequest) ([]string, error) {
	return a.drivers.Images.Tags(ctx, question(r))
}

// SearchImages implements wire.Agent.
func (a *Agent) SearchImages(ctx context.Context, r wire.SearchRequest) ([]wire.FoundImage, error) {
	results, err := a.drivers.Images.Search(ctx, image.SearchRequest{Term: r.Term, Limit: r.Limit, Credentials: credentials(r.Auth)})
	if err != nil {
		return nil, err
	}
	found := make([]wire.FoundImage, len(results))
	for i, f := range results {
		found[i] = wire.FoundImage(f)
	}
	return found, nil
}
