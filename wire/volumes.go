package wire

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/spearheadcloud/spearhead/model"
)

// Volumes is what a head asks of a node's volumes, by their ids. A volume comes
// to be with the first container that mounts it (CreateRequest.Volumes), or by
// CloneVolume or ReceiveVolume. Unknown volumes are KindNotFound; what the
// node's storage cannot do is KindNotImplemented.
type Volumes interface {
	// Volumes lists the ids of all volumes of the node, for reconciliation.
	Volumes(ctx context.Context) ([]string, error)
	// RemoveVolume removes a volume, its files and its snapshots. KindConflict
	// if a container of the node mounts it. An unknown one is no error.
	RemoveVolume(ctx context.Context, id string) error
	// VolumeUsage measures volumes. Unknown ids are left out of the answer.
	VolumeUsage(ctx context.Context, ids []string) (map[string]model.VolumeUsage, error)
	// ResizeVolume changes how much a volume may hold, also while it is in
	// use. KindConflict if it holds more already.
	ResizeVolume(ctx context.Context, id string, size int64) error
	// SnapshotVolume takes a snapshot; KindConflict if there is one of its name.
	SnapshotVolume(ctx context.Context, id, snapshot string) error
	// VolumeSnapshots lists a volume's snapshots, the oldest first.
	VolumeSnapshots(ctx context.Context, id string) ([]model.VolumeSnapshot, error)
	// RemoveSnapshot removes a snapshot. A missing one is KindNotFound.
	RemoveSnapshot(ctx context.Context, id, snapshot string) error
	// RestoreVolume makes a volume what it was at a snapshot; snapshots that
	// are newer are lost. KindConflict while a running container mounts it.
	RestoreVolume(ctx context.Context, id, snapshot string) error
	// CloneVolume makes a volume of a snapshot, or of the files of this
	// moment. The same again is no error.
	CloneVolume(ctx context.Context, id string, r CloneVolumeRequest) error
	// SendVolume returns a volume as a stream that ReceiveVolume takes.
	SendVolume(ctx context.Context, id string, r SendVolumeRequest) (io.ReadCloser, error)
	// ReceiveVolume makes a volume of a stream. Half of a stream makes none.
	ReceiveVolume(ctx context.Context, id string, r ReceiveVolumeRequest, stream io.Reader) error
}

// VolumeRef names a volume that a new container mounts. It is made if the node
// does not have it.
type VolumeRef struct {
	ID   string `json:"id"`
	Size int64  `json:"size,omitempty"` // bytes; 0 is without bound
}

// CloneVolumeRequest says what to make of a volume.
type CloneVolumeRequest struct {
	Snapshot string    `json:"snapshot,omitempty"` // "" is the files of this moment
	To       VolumeRef `json:"to"`
}

// SendVolumeRequest says what of a volume to send.
type SendVolumeRequest struct {
	Snapshot string `json:"snapshot,omitempty"` // "" is the files of this moment
	// Base is an older snapshot that the receiver has: only what changed since
	// is sent. "" sends all.
	Base string `json:"base,omitempty"`
	// Offset asks for the rest of a stream of Snapshot that broke off after so
	// many bytes, of which Sum is the CRC-32C.
	Offset int64  `json:"offset,omitempty"`
	Sum    uint32 `json:"sum,omitempty"`
	// Token asks for the rest of a stream of Snapshot of which the receiver's
	// ZFS has the beginning; Offset and Sum are of that rest.
	Token string `json:"token,omitempty"`
}

// ReceiveVolumeRequest says what to make of a stream.
type ReceiveVolumeRequest struct {
	Size int64 `json:"size,omitempty"` // bytes that the volume may hold; 0 is without bound
	// Onto adds what the stream brings to a volume that is there and has the
	// stream's base; else the volume must not exist.
	Onto bool `json:"onto,omitempty"`
}

// Volumes implements Agent.
func (c *Client) Volumes(ctx context.Context) (ids []string, err error) {
	err = c.call(ctx, http.MethodGet, "/volumes", nil, &ids)
	return ids, err
}

// RemoveVolume implements Agent.
func (c *Client) RemoveVolume(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, volumePath(id, ""), nil, nil)
}

// VolumeUsage implements Agent.
func (c *Client) VolumeUsage(ctx context.Context, ids []string) (usage map[string]model.VolumeUsage, err error) {
	err = c.call(ctx, http.MethodPost, "/volumeusage", ids, &usage)
	return usage, err
}

// ResizeVolume implements Agent.
func (c *Client) ResizeVolume(ctx context.Context, id string, size int64) error {
	return c.call(ctx, http.MethodPost, volumePath(id, "/resize"), size, nil)
}

// SnapshotVolume implements Agent.
func (c *Client) SnapshotVolume(ctx context.Context, id, snapshot string) error {
	return c.call(ctx, http.MethodPost, volumePath(id, "/snapshot"), snapshot, nil)
}

// VolumeSnapshots implements Agent.
func (c *Client) VolumeSnapshots(ctx context.Context, id string) (all []model.VolumeSnapshot, err error) {
	err = c.call(ctx, http.MethodGet, volumePath(id, "/snapshots"), nil, &all)
	return all, err
}

// RemoveSnapshot implements Agent.
func (c *Client) RemoveSnapshot(ctx context.Context, id, snapshot string) error {
	return c.call(ctx, http.MethodPost, volumePath(id, "/forget"), snapshot, nil)
}

// RestoreVolume implements Agent.
func (c *Client) RestoreVolume(ctx context.Context, id, snapshot string) error {
	return c.call(ctx, http.MethodPost, volumePath(id, "/restore"), snapshot, nil)
}

// CloneVolume implements Agent.
func (c *Client) CloneVolume(ctx context.Context, id string, r CloneVolumeRequest) error {
	return c.call(ctx, http.MethodPost, volumePath(id, "/clone"), r, nil)
}

// SendVolume implements Agent.
func (c *Client) SendVolume(ctx context.Context, id string, r SendVolumeRequest) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodPost, volumePath(id, "/send"), r, "")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// ReceiveVolume implements Agent.
func (c *Client) ReceiveVolume(ctx context.Context, id string, r ReceiveVolumeRequest, stream io.Reader) error {
	at, err := withArguments(volumePath(id, "/receive"), r)
	if err != nil {
		return err
	}
	resp, err := c.upload(ctx, at, stream)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func volumePath(id, call string) string { return "/volumes/" + url.PathEscape(id) + call }

// volumeRoutes serves Volumes.
func (h *handler) volumeRoutes(route func(string, http.HandlerFunc)) {
	a, one := h.agent, pathPrefix+"/volumes/{id}"
	route("GET "+pathPrefix+"/volumes", answer(h, func(ctx context.Context, _ string, _ none) ([]string, error) { return a.Volumes(ctx) }))
	route("DELETE "+one, perform(h, func(ctx context.Context, id string, _ none) error { return a.RemoveVolume(ctx, id) }))
	route("POST "+pathPrefix+"/volumeusage", answer(h, func(ctx context.Context, _ string, ids []string) (map[string]model.VolumeUsage, error) {
		return a.VolumeUsage(ctx, ids)
	}))
	route("POST "+one+"/resize", perform(h, a.ResizeVolume))
	route("POST "+one+"/snapshot", perform(h, a.SnapshotVolume))
	route("GET "+one+"/snapshots", answer(h, func(ctx context.Context, id string, _ none) ([]model.VolumeSnapshot, error) {
		return a.VolumeSnapshots(ctx, id)
	}))
	route("POST "+one+"/forget", perform(h, a.RemoveSnapshot))
	route("POST "+one+"/restore", perform(h, a.RestoreVolume))
	route("POST "+one+"/clone", perform(h, a.CloneVolume))
	route("POST "+one+"/send", h.sendVolume)
	route("POST "+one+"/receive", h.receiveVolume)
}

func (h *handler) sendVolume(w http.ResponseWriter, r *http.Request) {
	var in SendVolumeRequest
	if !h.decode(w, r, &in) {
		return
	}
	stream, err := h.agent.SendVolume(r.Context(), r.PathValue("id"), in)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer stream.Close()
	h.copyOut(w, r, stream)
}

func (h *handler) receiveVolume(w http.ResponseWriter, r *http.Request) {
	var in ReceiveVolumeRequest
	if !h.arguments(w, r, &in) {
		return
	}
	if err := h.agent.ReceiveVolume(r.Context(), r.PathValue("id"), in, r.Body); err != nil {
		w.Header().Set("Connection", "close") // as for an archive: its sender may be silent
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
