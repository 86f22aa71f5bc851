package agent

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

var errNotYet = model.Errorf(model.KindNotImplemented, "this version of the node cannot do that with images")

// PushImage implements wire.Agent.
func (a *Agent) PushImage(context.Context, wire.PushRequest) (wire.PushStream, error) {
	return nil, errNotYet
}

// SaveImages implements wire.Agent.
func (a *Agent) SaveImages(context.Context, wire.SaveRequest) (io.ReadCloser, error) {
	return nil, errNotYet
}

// LoadImages implements wire.Agent.
func (a *Agent) LoadImages(context.Context, wire.LoadRequest, io.Reader) (wire.LoadStream, error) {
	return nil, errNotYet
}

// ImportImage implements wire.Agent.
func (a *Agent) ImportImage(context.Context, wire.ImportRequest, io.Reader) (model.Image, error) {
	return model.Image{}, errNotYet
}

// ResolveImage implements wire.Agent.
func (a *Agent) ResolveImage(context.Context, wire.PullRequest) (wire.ResolvedImage, error) {
	return wire.ResolvedImage{}, errNotYet
}

// ListTags implements wire.Agent.
func (a *Agent) ListTags(context.Context, wire.PullRequest) ([]string, error) {
	return nil, errNotYet
}

// SearchImages implements wire.Agent.
func (a *Agent) SearchImages(context.Context, wire.SearchRequest) ([]wire.FoundImage, error) {
	return nil, errNotYet
}

// ImageUsage implements wire.Agent.
func (a *Agent) ImageUsage(context.Context) (wire.ImageUsage, error) {
	return wire.ImageUsage{}, errNotYet
}
