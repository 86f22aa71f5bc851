package agent

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

var errNotYet = model.Errorf(model.KindNotImplemented, "this version of the node cannot do that with images")

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

// ImageUsage implements wire.Agent.
func (a *Agent) ImageUsage(context.Context) (wire.ImageUsage, error) {
	return wire.ImageUsage{}, errNotYet
}
