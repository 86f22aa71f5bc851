package image

import (
	"context"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image/manifest"
	"github.com/spearheadcloud/spearhead/image/registry"
)

// Resolve asks a registry what a name points to, without keeping anything: the
// descriptor of its index or manifest, and the platforms that it has. Errors
// are those of Pull.
func (s *Store) Resolve(ctx context.Context, r PullRequest) (ocispec.Descriptor, []ocispec.Platform, error) {
	client, err := s.ask(r)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(scoped(ctx), resolveTimeout)
	defer cancel()
	p := &pull{store: s, client: client}
	desc, err := client.Resolve(ctx)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	data, err := p.document(ctx, desc, manifest.MaxSize)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if manifest.IsIndex(desc.MediaType) {
		platforms, err := manifest.Platforms(data, desc.MediaType)
		return desc, platforms, err
	}
	m, err := manifest.Parse(data, desc.MediaType)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	config, err := p.document(ctx, m.Config, manifest.MaxConfig)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	image, err := manifest.Config(config, m)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	return desc, []ocispec.Platform{{OS: image.OS, Architecture: image.Architecture, Variant: image.Variant}}, nil
}

// Tags asks a registry for all tags of a name's repository. Errors are those
// of Pull; a repository without tags is KindNotFound.
func (s *Store) Tags(ctx context.Context, r PullRequest) ([]string, error) {
	client, err := s.ask(r)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	return client.Tags(ctx)
}

// ask makes a client for a question. The caller closes it.
func (s *Store) ask(r PullRequest) (*registry.Client, error) {
	ref, err := parseRef(r.Ref)
	if err != nil {
		return nil, err
	}
	return s.policy.NewClient(ref, r.credentials(), registry.Pull)
}

// SearchRequest is a search of a registry. Credentials live as long as it.
type SearchRequest struct {
	Term        string // may begin with the registry's name
	Limit       int    // 0 is 25
	Credentials registry.Credentials
}

// Search asks a registry's search. A registry that has none is
// KindNotImplemented.
func (s *Store) Search(ctx context.Context, r SearchRequest) ([]registry.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	return s.policy.Search(ctx, r.Term, r.Limit, r.Credentials)
}
