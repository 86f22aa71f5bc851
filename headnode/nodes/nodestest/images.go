package nodestest

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// replay is a stream of what was prepared.
type replay[M any] struct{ list []M }

func (s *replay[M]) Next() (M, error) {
	if len(s.list) == 0 {
		var none M
		return none, io.EOF
	}
	m := s.list[0]
	s.list = s.list[1:]
	return m, nil
}

func (s *replay[M]) Close() error { return nil }

// held finds an image that the node holds.
func (a *Agent) held(id string) (model.Image, error) {
	if err := a.enter(); err != nil {
		return model.Image{}, err
	}
	defer a.mu.Unlock()
	img, ok := a.images[id]
	if !ok {
		return img, model.Errorf(model.KindNotFound, "No such image: %s", id)
	}
	return img, nil
}

func (a *Agent) hold(img model.Image) error {
	if err := a.enter(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	a.images[img.ID] = img
	return nil
}

// PushImage implements wire.Agent: pulls find it from then on.
func (a *Agent) PushImage(_ context.Context, r wire.PushRequest) (wire.PushStream, error) {
	img, err := a.held(r.ImageID)
	if err != nil {
		return nil, err
	}
	a.Publish(r.Ref, img)
	return &replay[wire.PushMessage]{[]wire.PushMessage{{Pushed: &wire.PushedImage{Digest: img.Digest, Size: 7}}}}, nil
}

// FailCopy makes copies to the node fail with err, or succeed again if it is nil.
func (a *Agent) FailCopy(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failCopy = err
}

// CopyImage implements wire.Agent: any holder has all, and the registry has what
// was published.
func (a *Agent) CopyImage(_ context.Context, r wire.CopyRequest) (wire.PullStream, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	published := false
	for _, img := range a.registry {
		published = published || strings.HasSuffix(r.Ref, "@"+img.Digest)
	}
	switch {
	case a.failCopy != nil:
		return nil, a.failCopy
	case len(r.Holders) == 0 && !published:
		return nil, model.Errorf(model.KindUnavailable, "no node holds image %s", r.Image.ID)
	}
	a.images[r.Image.ID] = r.Image
	return &replay[wire.PullMessage]{[]wire.PullMessage{{Image: &wire.PulledImage{Image: r.Image, Digest: r.Image.Digest, New: true}}}}, nil
}

// Shed lists the images of which the node was asked to give up packed layers.
func (a *Agent) Shed() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.shed)
}

// ShedImage implements wire.Agent.
func (a *Agent) ShedImage(_ context.Context, r wire.CopyRequest) (int64, error) {
	if _, err := a.held(r.Image.ID); err != nil || len(r.Holders) == 0 {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shed = append(a.shed, r.Image.ID)
	return r.Image.Size, nil
}

// SaveImages implements wire.Agent: the archive is the request with the images.
func (a *Agent) SaveImages(_ context.Context, r wire.SaveRequest) (io.ReadCloser, error) {
	var all []wire.LoadedImage
	for _, saved := range r.Images {
		img, err := a.held(saved.ImageID)
		if err != nil {
			return nil, err
		}
		all = append(all, wire.LoadedImage{Image: img, Refs: saved.Refs})
	}
	text, err := json.Marshal(all)
	return io.NopCloser(strings.NewReader(string(text))), err
}

// LoadImages implements wire.Agent: it takes what SaveImages gives.
func (a *Agent) LoadImages(_ context.Context, _ wire.LoadRequest, tar io.Reader) (wire.LoadStream, error) {
	var all []wire.LoadedImage
	if err := json.NewDecoder(tar).Decode(&all); err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "this is no archive of images")
	}
	var list []wire.LoadMessage
	for _, loaded := range all {
		if err := a.hold(loaded.Image); err != nil {
			return nil, err
		}
		list = append(list, wire.LoadMessage{Image: &loaded})
	}
	return &replay[wire.LoadMessage]{list}, nil
}

// ImportImage implements wire.Agent: each image is a new one.
func (a *Agent) ImportImage(_ context.Context, r wire.ImportRequest, tar io.Reader) (model.Image, error) {
	size, err := io.Copy(io.Discard, tar)
	if err != nil {
		return model.Image{}, err
	}
	img := model.Image{
		ID: "sha256:" + model.NewID(), Digest: "sha256:" + model.NewID(), OS: "linux", Architecture: "amd64",
		Config: r.Config, Comment: r.Comment, Size: size,
	}
	return img, a.hold(img)
}

// published finds what a pull would.
func (a *Agent) published(ref string) (model.Image, error) {
	if err := a.enter(); err != nil {
		return model.Image{}, err
	}
	defer a.mu.Unlock()
	img, ok := a.registry[ref]
	if !ok {
		return img, model.Errorf(model.KindNotFound, "manifest for %s not found", ref)
	}
	return img, nil
}

// ResolveImage implements wire.Agent.
func (a *Agent) ResolveImage(_ context.Context, r wire.PullRequest) (wire.ResolvedImage, error) {
	img, err := a.published(r.Ref)
	if err != nil {
		return wire.ResolvedImage{}, err
	}
	return wire.ResolvedImage{Digest: img.Digest, Size: 7, Platforms: []wire.Platform{{OS: img.OS, Architecture: img.Architecture}}}, nil
}

// ListTags implements wire.Agent: those under which images were published.
func (a *Agent) ListTags(_ context.Context, r wire.PullRequest) ([]string, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	repository := r.Ref[:strings.LastIndex(r.Ref, ":")+1]
	var tags []string
	for ref := range a.registry {
		if tag, ok := strings.CutPrefix(ref, repository); ok {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// SearchImages implements wire.Agent.
func (a *Agent) SearchImages(_ context.Context, r wire.SearchRequest) ([]wire.FoundImage, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	return []wire.FoundImage{{Name: r.Term}}, nil
}

// ImageUsage implements wire.Agent: one layer an image.
func (a *Agent) ImageUsage(context.Context) (wire.ImageUsage, error) {
	if err := a.enter(); err != nil {
		return wire.ImageUsage{}, err
	}
	defer a.mu.Unlock()
	u := wire.ImageUsage{Layers: map[string]int64{}}
	for id, img := range a.images {
		u.Layers[id] = img.Size
	}
	return u, nil
}

// Blob implements wire.Agent: there is none.
func (a *Agent) Blob(_ context.Context, digest string, _ int64) (wire.Blob, error) {
	if err := a.enter(); err != nil {
		return wire.Blob{}, err
	}
	defer a.mu.Unlock()
	return wire.Blob{}, model.Errorf(model.KindNotFound, "the node does not hold %s", digest)
}
