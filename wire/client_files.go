package wire

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/spearheadcloud/spearhead/model"
)

// StatPath implements Agent.
func (c *Client) StatPath(ctx context.Context, id, path string) (s model.PathStat, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/stat"), path, &s)
	return s, err
}

// ReadArchive implements Agent.
func (c *Client) ReadArchive(ctx context.Context, id, path string) (Archive, error) {
	resp, err := c.send(ctx, http.MethodPost, containerPath(id, "/archive/read"), path, "")
	if err != nil {
		return Archive{}, err
	}
	a := Archive{ReadCloser: resp.Body}
	if err := json.Unmarshal([]byte(resp.Header.Get(statHeader)), &a.Stat); err != nil {
		resp.Body.Close()
		return Archive{}, model.WrapError(model.KindUnavailable, err, "the node sent an archive without saying of what; are both of the same release?")
	}
	return a, nil
}

// WriteArchive implements Agent.
func (c *Client) WriteArchive(ctx context.Context, id string, r WriteArchiveRequest, tar io.Reader) error {
	at, err := withArguments(containerPath(id, "/archive/write"), r)
	if err != nil {
		return err
	}
	resp, err := c.upload(ctx, at, tar)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Export implements Agent.
func (c *Client) Export(ctx context.Context, id string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodPost, containerPath(id, "/export"), nil, "")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Changes implements Agent.
func (c *Client) Changes(ctx context.Context, id string) (all []model.FileChange, err error) {
	err = c.call(ctx, http.MethodGet, containerPath(id, "/changes"), nil, &all)
	return all, err
}

// Commit implements Agent.
func (c *Client) Commit(ctx context.Context, id string, r CommitRequest) (made Committed, err error) {
	err = c.call(ctx, http.MethodPost, containerPath(id, "/commit"), r, &made)
	return made, err
}
