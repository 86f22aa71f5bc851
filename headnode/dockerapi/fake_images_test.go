package dockerapi

import (
	"context"
	"io"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// fakeTransfers is what a fake was asked to carry, and what goes wrong with it.
type fakeTransfers struct {
	pushed   PushRequest
	saved    []string
	loaded   LoadRequest
	imported ImportRequest
	resolved string
	searched wire.SearchRequest
	auth     wire.RegistryAuth
	body     string
	tags     []string
	late     error // after a first step
}

var fakeStep = wire.PullProgress{Layer: "0123456789ab", Status: "Pushing", Current: 1, Total: 2}

func (i fakeImages) Push(_ context.Context, _ model.Account, r PushRequest, step func(PushStep)) error {
	i.f.moved.pushed = r
	if strings.Contains(r.Ref, "none") {
		return model.Errorf(model.KindNotFound, "An image does not exist locally with the tag: %s", r.Ref)
	}
	step(PushStep{PullProgress: fakeStep})
	if i.f.moved.late != nil {
		return i.f.moved.late
	}
	step(PushStep{Tag: "latest", Pushed: wire.PushedImage{Digest: "sha256:" + strings.Repeat("d", 64), Size: 527}})
	return nil
}

func (i fakeImages) Save(ctx context.Context, a model.Account, refs []string, platform string) (io.ReadCloser, error) {
	i.f.moved.saved = refs
	for _, ref := range refs {
		found, err := i.Get(ctx, a, ref)
		if err == nil {
			err = found.CheckPlatform(ref, platform)
		}
		if err != nil {
			return nil, err
		}
	}
	return i.f.archiveBody(), nil
}

func (i fakeImages) Load(_ context.Context, _ model.Account, r LoadRequest, tar io.Reader, step func(LoadStep)) error {
	step(LoadStep{PullProgress: wire.PullProgress{Layer: "0123456789ab", Status: "Loading layer", Current: 1, Total: 2}})
	body, err := io.ReadAll(tar)
	if err != nil {
		return model.WrapError(model.KindUnavailable, err, "the node cannot be reached")
	}
	i.f.moved.loaded, i.f.moved.body = r, string(body)
	if i.f.moved.late != nil {
		return i.f.moved.late
	}
	step(LoadStep{ID: i.f.images[0].ID, Names: []string{"busybox:latest", "mine:v1"}})
	step(LoadStep{ID: "sha256:" + strings.Repeat("2", 64)})
	return nil
}

func (i fakeImages) Import(_ context.Context, _ model.Account, r ImportRequest, tar io.Reader) (string, error) {
	body, err := io.ReadAll(tar)
	if err != nil {
		return "", model.WrapError(model.KindUnavailable, err, "the node cannot be reached")
	}
	i.f.moved.imported, i.f.moved.body = r, string(body)
	return i.f.images[0].ID, i.f.moved.late
}

func (i fakeImages) Tags(_ context.Context, _ model.Account, ref string, auth wire.RegistryAuth) ([]string, error) {
	i.f.moved.resolved, i.f.moved.auth = ref, auth
	return i.f.moved.tags, nil
}

func (i fakeImages) Resolve(_ context.Context, _ model.Account, ref string, auth wire.RegistryAuth) (wire.ResolvedImage, error) {
	i.f.moved.resolved, i.f.moved.auth = ref, auth
	return wire.ResolvedImage{
		Digest: "sha256:" + strings.Repeat("e", 64), MediaType: "application/vnd.oci.image.index.v1+json", Size: 1234,
		Platforms: []wire.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm", Variant: "v7"}},
	}, nil
}

func (i fakeImages) Search(_ context.Context, _ model.Account, r wire.SearchRequest) ([]wire.FoundImage, error) {
	i.f.moved.searched = r
	return []wire.FoundImage{
		{Name: "busybox", Description: "small", Stars: 9, Official: true}, {Name: "jill/busybox", Stars: 1, Automated: true},
	}, nil
}

func (i fakeImages) Login(_ context.Context, _ model.Account, server string, auth wire.RegistryAuth) (string, error) {
	if auth.Password != "right" {
		return "", model.Errorf(model.KindUnauthenticated, "Get %q: unauthorized", server)
	}
	if server == "tokens.example" {
		return "keep this", nil
	}
	return "", nil
}
