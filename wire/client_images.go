package wire

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spearheadcloud/spearhead/model"
)

var _ interface {
	ImageStore
	Peer
	Builders
} = (*Client)(nil)

// PushImage implements ImageStore.
func (c *Client) PushImage(ctx context.Context, r PushRequest) (PushStream, error) {
	lines, err := c.lines(ctx, "/images/push", r)
	if err != nil {
		return nil, err
	}
	return &messageStream[PushMessage]{lines}, nil
}

// CopyImage implements ImageStore.
func (c *Client) CopyImage(ctx context.Context, r CopyRequest) (PullStream, error) {
	lines, err := c.lines(ctx, "/images/copy", r)
	if err != nil {
		return nil, err
	}
	return &messageStream[PullMessage]{lines}, nil
}

// SaveImages implements ImageStore.
func (c *Client) SaveImages(ctx context.Context, r SaveRequest) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodPost, "/images/save", r, "")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// LoadImages implements ImageStore.
func (c *Client) LoadImages(ctx context.Context, r LoadRequest, tar io.Reader) (LoadStream, error) {
	path, err := withArguments("/images/load", r)
	if err != nil {
		return nil, err
	}
	lines, err := c.linesFor(ctx, path, tar)
	if err != nil {
		return nil, err
	}
	return &messageStream[LoadMessage]{lines}, nil
}

// ImportImage implements ImageStore.
func (c *Client) ImportImage(ctx context.Context, r ImportRequest, tar io.Reader) (img model.Image, err error) {
	path, err := withArguments("/images/import", r)
	if err != nil {
		return img, err
	}
	resp, err := c.upload(ctx, path, tar)
	if err != nil {
		return img, err
	}
	defer resp.Body.Close()
	if err := decodeBody(resp.Body, maxResponse, &img); err != nil {
		return model.Image{}, broken(ctx, err)
	}
	return img, nil
}

// ResolveImage implements ImageStore.
func (c *Client) ResolveImage(ctx context.Context, r PullRequest) (resolved ResolvedImage, err error) {
	err = c.call(ctx, http.MethodPost, "/images/resolve", r, &resolved)
	return resolved, err
}

// ListTags implements ImageStore.
func (c *Client) ListTags(ctx context.Context, r PullRequest) (tags []string, err error) {
	err = c.call(ctx, http.MethodPost, "/images/tags", r, &tags)
	return tags, err
}

// SearchImages implements ImageStore.
func (c *Client) SearchImages(ctx context.Context, r SearchRequest) (found []FoundImage, err error) {
	err = c.call(ctx, http.MethodPost, "/images/search", r, &found)
	return found, err
}

// ShedImage implements ImageStore.
func (c *Client) ShedImage(ctx context.Context, r CopyRequest) (freed int64, err error) {
	err = c.call(ctx, http.MethodPost, "/images/shed", r, &freed)
	return freed, err
}

// ImageUsage implements ImageStore.
func (c *Client) ImageUsage(ctx context.Context) (u ImageUsage, err error) {
	err = c.call(ctx, http.MethodGet, "/images/usage", nil, &u)
	return u, err
}

// Blob implements Peer.
func (c *Client) Blob(ctx context.Context, digest string, offset int64) (Blob, error) {
	path := blobsPath + url.PathEscape(digest) + "?offset=" + strconv.FormatInt(offset, 10)
	resp, err := c.send(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return Blob{}, err
	}
	size, err := strconv.ParseInt(resp.Header.Get(sizeHeader), 10, 64)
	if err != nil {
		resp.Body.Close()
		return Blob{}, model.WrapError(model.KindUnavailable, err, "the node sent content without saying how much; are both of the same release?")
	}
	return Blob{Size: size, ReadCloser: resp.Body}, nil
}

// withArguments adds the arguments of a call whose body is a stream.
func withArguments(path string, r any) (string, error) {
	encoded, err := json.Marshal(r)
	if err != nil {
		return "", model.WrapError(model.KindInvalid, err, "cannot encode the request")
	}
	return path + "?" + url.Values{requestParameter: {string(encoded)}}.Encode(), nil
}

// messageStream reads messages of which empty ones are signs of life.
type messageStream[M comparable] struct{ *lineStream }

func (s *messageStream[M]) Next() (M, error) {
	var empty M
	for {
		var m M
		if err := s.next(&m); err != nil {
			return empty, err
		}
		if m != empty {
			return m, nil
		}
	}
}
