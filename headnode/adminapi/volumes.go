package adminapi

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/model"
)

// Volumes is what the operator's calls need of volumes; package volumes says
// what each does.
type Volumes interface {
	All(ctx context.Context) ([]dockerapi.Volume, map[string]model.VolumeUsage, error)
	Snapshot(ctx context.Context, a model.Account, name, snapshot string) error
	Snapshots(ctx context.Context, a model.Account, name string) ([]model.VolumeSnapshot, error)
	RemoveSnapshot(ctx context.Context, a model.Account, name, snapshot string) error
	Restore(ctx context.Context, a model.Account, name, snapshot string) error
	Resize(ctx context.Context, a model.Account, name string, size int64) error
	Clone(ctx context.Context, a model.Account, name, snapshot, to string) error
	Rename(ctx context.Context, a model.Account, name, to string) error
	Send(ctx context.Context, a model.Account, name, snapshot, base string) (io.ReadCloser, error)
	Receive(ctx context.Context, a model.Account, name, node string, size int64, stream io.Reader) error
	ReceiveChanges(ctx context.Context, a model.Account, name string, stream io.Reader) error
	Target(from string, vol *model.Volume) (node string, err error)
	SetDefaultSize(ctx context.Context, size int64) error
	DefaultSize() int64
}

// VolumeStatus is a volume, whose it is and where.
type VolumeStatus struct {
	model.Volume
	Login      string `json:"login"`
	Node       string `json:"node,omitempty"` // by name; "" is on none yet
	Containers int    `json:"containers"`     // that mount it
	Used       *int64 `json:"used,omitempty"` // bytes; nil where its node cannot be asked
}

// MoveVolumeRequest says where a volume is to go.
type MoveVolumeRequest struct {
	Node string `json:"node"`           // by name
	Rate int64  `json:"rate,omitempty"` // bytes a second; 0 is without limit
}

// CloneRequest says what to make of a volume.
type CloneRequest struct {
	Snapshot string `json:"snapshot,omitempty"` // "" is the files of this moment
	To       string `json:"to"`
}

func (s *server) volumeRoutes(mux *http.ServeMux) {
	const one = "/v1/accounts/{login}/volumes/{name}"
	mux.HandleFunc("GET /v1/volumes", answer(s, s.volumes))
	mux.HandleFunc("GET /v1/volumes/size", answer(s, func(*http.Request) (int64, error) { return s.Volumes.DefaultSize(), nil }))
	mux.HandleFunc("PUT /v1/volumes/size", answer(s, s.setVolumeSize))
	mux.HandleFunc("GET "+one+"/snapshots", answer(s, s.snapshots))
	mux.HandleFunc("POST "+one+"/snapshots", answer(s, onVolume(s, Volumes.Snapshot)))
	mux.HandleFunc("DELETE "+one+"/snapshots/{snapshot}", answer(s, s.removeSnapshot))
	mux.HandleFunc("POST "+one+"/restore", answer(s, onVolume(s, Volumes.Restore)))
	mux.HandleFunc("POST "+one+"/size", answer(s, onVolume(s, Volumes.Resize)))
	mux.HandleFunc("POST "+one+"/name", answer(s, onVolume(s, Volumes.Rename)))
	mux.HandleFunc("POST "+one+"/move", s.moveVolume)
	mux.HandleFunc("POST "+one+"/clone", answer(s, onVolume(s, func(all Volumes, ctx context.Context, a model.Account, name string, r CloneRequest) error {
		return all.Clone(ctx, a, name, r.Snapshot, r.To)
	})))
	mux.HandleFunc("GET "+one+"/stream", s.sendVolume)
	mux.HandleFunc("POST "+one+"/stream", answer(s, s.receiveVolume))
}

// onVolume is a call about one volume that takes one value.
func onVolume[T any](s *server, call func(Volumes, context.Context, model.Account, string, T) error) func(*http.Request) (none, error) {
	return func(r *http.Request) (none, error) {
		a, err := s.account(r)
		if err != nil {
			return none{}, err
		}
		in, err := decode[T](r)
		if err != nil {
			return none{}, err
		}
		return none{}, call(s.Volumes, r.Context(), a, r.PathValue("name"), in)
	}
}

func (s *server) volumes(r *http.Request) ([]VolumeStatus, error) {
	all, usage, err := s.Volumes.All(r.Context())
	if err != nil {
		return nil, err
	}
	v, out := s.Store.View(), []VolumeStatus{}
	for _, vol := range all {
		status := VolumeStatus{Volume: vol.Volume, Containers: vol.Containers}
		if a, ok := v.Account(vol.AccountID); ok {
			status.Login = a.Login
		}
		if n, ok := v.Node(vol.NodeID); ok {
			status.Node = n.Name
		}
		if u, ok := usage[vol.ID]; ok {
			status.Used = &u.Used
		}
		out = append(out, status)
	}
	slices.SortFunc(out, func(a, b VolumeStatus) int {
		return cmp.Or(cmp.Compare(a.Login, b.Login), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

func (s *server) setVolumeSize(r *http.Request) (none, error) {
	size, err := decode[int64](r)
	if err != nil {
		return none{}, err
	}
	return none{}, s.Volumes.SetDefaultSize(r.Context(), size)
}

func (s *server) snapshots(r *http.Request) ([]model.VolumeSnapshot, error) {
	a, err := s.account(r)
	if err != nil {
		return nil, err
	}
	return s.Volumes.Snapshots(r.Context(), a, r.PathValue("name"))
}

func (s *server) removeSnapshot(r *http.Request) (none, error) {
	a, err := s.account(r)
	if err != nil {
		return none{}, err
	}
	return none{}, s.Volumes.RemoveSnapshot(r.Context(), a, r.PathValue("name"), r.PathValue("snapshot"))
}

// moveVolume moves a volume and tells of it line by line.
func (s *server) moveVolume(w http.ResponseWriter, r *http.Request) {
	s.tellMove(w, r, func(tell func(transfers.Progress)) error {
		a, err := s.account(r)
		if err != nil {
			return err
		}
		in, err := decode[MoveVolumeRequest](r)
		if err != nil {
			return err
		}
		if in.Rate < 0 {
			return model.Errorf(model.KindInvalid, "a rate is negative")
		}
		v := s.Store.View()
		vol, ok := v.VolumeByName(a.ID, r.PathValue("name"))
		if !ok {
			return model.Errorf(model.KindNotFound, "get %.128s: no such volume", r.PathValue("name"))
		}
		n, err := nodeByName(v, in.Node)
		if err != nil {
			return err
		}
		return s.Moves.MoveVolume(r.Context(), vol.ID, n.ID, in.Rate, tell)
	})
}

func (s *server) sendVolume(w http.ResponseWriter, r *http.Request) {
	a, err := s.account(r)
	var stream io.ReadCloser
	if err == nil {
		stream, err = s.Volumes.Send(r.Context(), a, r.PathValue("name"), r.URL.Query().Get("snapshot"), r.URL.Query().Get("base"))
	}
	if err != nil {
		answer(s, func(*http.Request) (none, error) { return none{}, err })(w, r)
		return
	}
	defer stream.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", backupError)
	if _, err := io.Copy(w, stream); err != nil {
		w.Header().Set(backupError, model.UserText(err))
	}
}

func (s *server) receiveVolume(r *http.Request) (none, error) {
	a, err := s.account(r)
	if err != nil {
		return none{}, err
	}
	q := r.URL.Query()
	if q.Has("changes") {
		return none{}, s.Volumes.ReceiveChanges(r.Context(), a, r.PathValue("name"), r.Body)
	}
	size, err := strconv.ParseInt(q.Get("size"), 10, 64)
	if err != nil {
		return none{}, model.Errorf(model.KindInvalid, "the size of the volume is not a number")
	}
	return none{}, s.Volumes.Receive(r.Context(), a, r.PathValue("name"), q.Get("node"), size, r.Body)
}

// AllVolumes lists the volumes of all accounts.
func (c *Client) AllVolumes(ctx context.Context) ([]VolumeStatus, error) {
	return ask[[]VolumeStatus](ctx, c, http.MethodGet, "/v1/volumes", nil)
}

// DefaultVolumeSize is how much a volume may hold, in bytes, that is made
// without a size; 0 is without bound.
func (c *Client) DefaultVolumeSize(ctx context.Context) (int64, error) {
	return ask[int64](ctx, c, http.MethodGet, "/v1/volumes/size", nil)
}

// SetDefaultVolumeSize changes DefaultVolumeSize for volumes to come.
func (c *Client) SetDefaultVolumeSize(ctx context.Context, size int64) error {
	return c.call(ctx, http.MethodPut, "/v1/volumes/size", size, nil)
}

func volumePath(login, name, call string) string {
	return "/v1/accounts/" + url.PathEscape(login) + "/volumes/" + url.PathEscape(name) + call
}

// Snapshots lists a volume's snapshots, the oldest first.
func (c *Client) Snapshots(ctx context.Context, login, name string) ([]model.VolumeSnapshot, error) {
	return ask[[]model.VolumeSnapshot](ctx, c, http.MethodGet, volumePath(login, name, "/snapshots"), nil)
}

// Snapshot takes a snapshot; KindConflict if there is one of its name.
func (c *Client) Snapshot(ctx context.Context, login, name, snapshot string) error {
	return c.call(ctx, http.MethodPost, volumePath(login, name, "/snapshots"), snapshot, nil)
}

// RemoveSnapshot removes a snapshot.
func (c *Client) RemoveSnapshot(ctx context.Context, login, name, snapshot string) error {
	return c.call(ctx, http.MethodDelete, volumePath(login, name, "/snapshots/"+url.PathEscape(snapshot)), nil, nil)
}

// RestoreVolume makes a volume what it was at a snapshot.
func (c *Client) RestoreVolume(ctx context.Context, login, name, snapshot string) error {
	return c.call(ctx, http.MethodPost, volumePath(login, name, "/restore"), snapshot, nil)
}

// ResizeVolume changes how much a volume may hold, in bytes; 0 is without bound.
func (c *Client) ResizeVolume(ctx context.Context, login, name string, size int64) error {
	return c.call(ctx, http.MethodPost, volumePath(login, name, "/size"), size, nil)
}

// RenameVolume gives a volume that no container mounts another name.
func (c *Client) RenameVolume(ctx context.Context, login, name, to string) error {
	return c.call(ctx, http.MethodPost, volumePath(login, name, "/name"), to, nil)
}

// CloneVolume makes a new volume of another.
func (c *Client) CloneVolume(ctx context.Context, login, name string, r CloneRequest) error {
	return c.call(ctx, http.MethodPost, volumePath(login, name, "/clone"), r, nil)
}

// MoveVolume moves a volume that no container mounts, and returns when it is on
// its new node. tell is called with each step and with how much has come.
func (c *Client) MoveVolume(ctx context.Context, login, name string, r MoveVolumeRequest, tell func(transfers.Progress)) error {
	return c.followMove(ctx, volumePath(login, name, "/move"), r, "the volume was moved; the move goes on, see spearhead volume ls", tell)
}

// SendVolume writes a volume as a stream to w.
func (c *Client) SendVolume(ctx context.Context, login, name, snapshot, base string, w io.Writer) error {
	query := url.Values{"snapshot": {snapshot}, "base": {base}}
	resp, err := c.send(ctx, http.MethodGet, volumePath(login, name, "/stream?"+query.Encode()), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return model.WrapError(model.KindUnavailable, err, "the stream broke off")
	}
	if text := resp.Trailer.Get(backupError); text != "" {
		return model.Errorf(model.KindUnavailable, "the stream broke off: %s", text)
	}
	return nil
}

// ReceiveVolume makes a volume of what SendVolume has written.
func (c *Client) ReceiveVolume(ctx context.Context, login, name, node string, size int64, r io.Reader) error {
	query := url.Values{"node": {node}, "size": {strconv.FormatInt(size, 10)}}
	return c.sendStream(ctx, volumePath(login, name, "/stream?"+query.Encode()), r)
}

// ReceiveChanges adds to a volume what SendVolume has written with a base.
func (c *Client) ReceiveChanges(ctx context.Context, login, name string, r io.Reader) error {
	return c.sendStream(ctx, volumePath(login, name, "/stream?changes=1"), r)
}

func (c *Client) sendStream(ctx context.Context, path string, r io.Reader) error {
	resp, err := c.send(ctx, http.MethodPost, path, r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
