package wiretest

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// What the Agent of this package knows of registries and content.
const (
	PushedDigest  = "sha256:4444444444444444444444444444444444444444444444444444444444444444"
	ContentDigest = "sha256:5555555555555555555555555555555555555555555555555555555555555555"
	Content       = "what a layer might be made of"
)

// messages is a stream of what was prepared.
type messages[M any] struct{ list []M }

func (s *messages[M]) Next() (M, error) {
	if len(s.list) == 0 {
		var none M
		return none, io.EOF
	}
	m := s.list[0]
	s.list = s.list[1:]
	return m, nil
}

func (s *messages[M]) Close() error { return nil }

func (a *Agent) holds(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.images[id] {
		return model.Errorf(model.KindNotFound, "No such image: %s", id)
	}
	return nil
}

// PushImage implements wire.Agent: BadRef is refused.
func (a *Agent) PushImage(_ context.Context, r wire.PushRequest) (wire.PushStream, error) {
	if err := a.holds(r.ImageID); err != nil {
		return nil, err
	}
	last := wire.PushMessage{Pushed: &wire.PushedImage{Digest: PushedDigest, Size: 7}}
	if r.Ref == BadRef {
		last = wire.PushMessage{Error: &wire.ErrorBody{Kind: model.KindForbidden, Text: "denied"}}
	}
	return &messages[wire.PushMessage]{[]wire.PushMessage{
		{Progress: &wire.PullProgress{Layer: "0123456789ab", Status: "Pushing", Current: 1, Total: 2}}, last,
	}}, nil
}

// CopyImage implements wire.Agent: any holder has all.
func (a *Agent) CopyImage(_ context.Context, r wire.CopyRequest) (wire.PullStream, error) {
	if len(r.Holders) == 0 {
		return nil, model.Errorf(model.KindUnavailable, "no node holds image %s", r.Image.ID)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.images[r.Image.ID] = true
	return &messages[wire.PullMessage]{[]wire.PullMessage{{Image: &wire.PulledImage{Image: r.Image, Digest: r.Image.Digest, New: true}}}}, nil
}

// SaveImages implements wire.Agent: the archive is a list of ids.
func (a *Agent) SaveImages(_ context.Context, r wire.SaveRequest) (io.ReadCloser, error) {
	var all strings.Builder
	for _, img := range r.Images {
		if err := a.holds(img.ImageID); err != nil {
			return nil, err
		}
		all.WriteString(img.ImageID + " " + strings.Join(img.Refs, " ") + "\n")
	}
	return io.NopCloser(strings.NewReader(all.String())), nil
}

// LoadImages implements wire.Agent: it takes what SaveImages gives.
func (a *Agent) LoadImages(_ context.Context, _ wire.LoadRequest, tar io.Reader) (wire.LoadStream, error) {
	content, err := io.ReadAll(tar)
	if err != nil {
		return nil, err
	}
	var list []wire.LoadMessage
	for line := range bytes.Lines(content) {
		words := strings.Fields(string(line))
		if len(words) == 0 || !strings.HasPrefix(words[0], "sha256:") {
			list = append(list, wire.LoadMessage{Error: &wire.ErrorBody{Kind: model.KindInvalid, Text: "not an archive of images"}})
			break
		}
		a.mu.Lock()
		a.images[words[0]] = true
		a.mu.Unlock()
		list = append(list, wire.LoadMessage{Image: &wire.LoadedImage{Image: model.Image{ID: words[0], OS: "linux"}, Refs: words[1:]}})
	}
	return &messages[wire.LoadMessage]{list}, nil
}

// ImportImage implements wire.Agent: each import is the same image.
func (a *Agent) ImportImage(_ context.Context, r wire.ImportRequest, tar io.Reader) (model.Image, error) {
	n, err := io.Copy(io.Discard, tar)
	if err != nil {
		return model.Image{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.images[CommittedID] = true
	return model.Image{ID: CommittedID, OS: "linux", Config: r.Config, Comment: r.Comment, Size: n}, nil
}

func known(ref string) error {
	if ref != GoodRef {
		return model.Errorf(model.KindNotFound, "manifest for %s not found", ref)
	}
	return nil
}

// ResolveImage implements wire.Agent.
func (a *Agent) ResolveImage(_ context.Context, r wire.PullRequest) (wire.ResolvedImage, error) {
	if err := known(r.Ref); err != nil {
		return wire.ResolvedImage{}, err
	}
	return wire.ResolvedImage{Digest: ImageID, Size: 7, Platforms: []wire.Platform{{OS: "linux", Architecture: "amd64"}}}, nil
}

// ListTags implements wire.Agent.
func (a *Agent) ListTags(_ context.Context, r wire.PullRequest) ([]string, error) {
	return []string{"latest"}, known(r.Ref)
}

// SearchImages implements wire.Agent.
func (a *Agent) SearchImages(_ context.Context, r wire.SearchRequest) ([]wire.FoundImage, error) {
	return []wire.FoundImage{{Name: r.Term, Official: true}}, nil
}

// ShedImage implements wire.Agent: any holder has all.
func (a *Agent) ShedImage(_ context.Context, r wire.CopyRequest) (int64, error) {
	if err := a.holds(r.Image.ID); err != nil || len(r.Holders) == 0 {
		return 0, err
	}
	return int64(len(Content)), nil
}

// ImageUsage implements wire.Agent.
func (a *Agent) ImageUsage(context.Context) (wire.ImageUsage, error) {
	return wire.ImageUsage{Blobs: map[string]int64{ContentDigest: int64(len(Content))}}, nil
}

// Blob implements wire.Agent.
func (a *Agent) Blob(_ context.Context, digest string, offset int64) (wire.Blob, error) {
	if digest != ContentDigest {
		return wire.Blob{}, model.Errorf(model.KindNotFound, "the node does not hold %s", digest)
	}
	if offset > int64(len(Content)) {
		return wire.Blob{}, model.Errorf(model.KindInvalid, "the offset is behind the blob's end")
	}
	return wire.Blob{Size: int64(len(Content)), ReadCloser: io.NopCloser(strings.NewReader(Content[offset:]))}, nil
}
