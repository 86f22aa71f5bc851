package nodes

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func (unreachable) PushImage(context.Context, wire.PushRequest) (wire.PushStream, error) {
	return nil, errUnreachable
}

func (unreachable) CopyImage(context.Context, wire.CopyRequest) (wire.PullStream, error) {
	return nil, errUnreachable
}

func (unreachable) SaveImages(context.Context, wire.SaveRequest) (io.ReadCloser, error) {
	return nil, errUnreachable
}

func (unreachable) LoadImages(context.Context, wire.LoadRequest, io.Reader) (wire.LoadStream, error) {
	return nil, errUnreachable
}

func (unreachable) ImportImage(context.Context, wire.ImportRequest, io.Reader) (model.Image, error) {
	return model.Image{}, errUnreachable
}

func (unreachable) ResolveImage(context.Context, wire.PullRequest) (wire.ResolvedImage, error) {
	return wire.ResolvedImage{}, errUnreachable
}

func (unreachable) ListTags(context.Context, wire.PullRequest) ([]string, error) {
	return nil, errUnreachable
}

func (unreachable) SearchImages(context.Context, wire.SearchRequest) ([]wire.FoundImage, error) {
	return nil, errUnreachable
}

func (unreachable) ShedImage(context.Context, wire.CopyRequest) (int64, error) {
	return 0, errUnreachable
}

func (unreachable) ImageUsage(context.Context) (wire.ImageUsage, error) {
	return wire.ImageUsage{}, errUnreachable
}

func (unreachable) Blob(context.Context, string, int64) (wire.Blob, error) {
	return wire.Blob{}, errUnreachable
}
