package nodestest

import (
	"bytes"
	"context"
	"io"
	"path"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Pause implements wire.Agent.
func (a *Agent) Pause(_ context.Context, id string) (wire.Ack, error) {
	return a.turn(id, model.StatusRunning, model.StatusPaused, "pause")
}

// Unpause implements wire.Agent.
func (a *Agent) Unpause(_ context.Context, id string) (wire.Ack, error) {
	return a.turn(id, model.StatusPaused, model.StatusRunning, "unpause")
}

func (a *Agent) turn(id string, from, to model.Status, action string) (wire.Ack, error) {
	c, err := a.open(id)
	if err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	if c.state.Status != from {
		return wire.Ack{}, model.Errorf(model.KindConflict, "container %s is %s, not %s", id, c.state.Status, from)
	}
	c.state.Status = to
	return a.write(c, action, nil), nil
}

// Update implements wire.Agent.
func (a *Agent) Update(_ context.Context, id string, r model.ContainerUpdate) (wire.Ack, error) {
	c, err := a.open(id)
	if err != nil {
		return wire.Ack{}, err
	}
	defer a.mu.Unlock()
	if a.failUpdate != nil {
		return wire.Ack{}, a.failUpdate
	}
	if r.Limits != nil {
		c.spec.Spec.Limits = *r.Limits
	}
	if r.Restart != nil {
		c.spec.Spec.Restart = *r.Restart
	}
	if r.Links != nil {
		c.spec.Spec.Links = *r.Links
	}
	if r.Limits == nil && r.Restart == nil {
		return wire.Ack{Epoch: a.epoch, Seq: uint64(len(a.journal))}, nil
	}
	ack := a.write(c, "update", nil)
	a.journal[len(a.journal)-1].Update = &r
	return ack, nil
}

// Stats implements wire.Agent.
func (a *Agent) Stats(_ context.Context, id string) (model.Stats, error) {
	c, err := a.open(id)
	if err != nil {
		return model.Stats{}, err
	}
	defer a.mu.Unlock()
	if !c.state.Status.Running() {
		return model.Stats{}, model.Errorf(model.KindConflict, "container %s is not running", id)
	}
	return model.Stats{Read: time.Now(), CgroupVersion: 2, CPU: model.CPUStats{Total: 7, Online: 64}}, nil
}

// Health implements wire.Agent: it is that of the state.
func (a *Agent) Health(_ context.Context, id string) (model.Health, error) {
	if err := a.enter(); err != nil {
		return model.Health{}, err
	}
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil || c.state.Health == nil {
		return model.Health{}, err
	}
	return *c.state.Health, nil
}

// Sizes implements wire.Agent.
func (a *Agent) Sizes(_ context.Context, ids []string) (map[string]model.ContainerSize, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	sizes := map[string]model.ContainerSize{}
	for _, id := range ids {
		if c := a.containers[id]; c != nil {
			sizes[id] = model.ContainerSize{RW: 10, Root: 1010}
		}
	}
	return sizes, nil
}

// StatPath implements wire.Agent.
func (a *Agent) StatPath(_ context.Context, id, at string) (model.PathStat, error) {
	c, err := a.open(id)
	if err != nil {
		return model.PathStat{}, err
	}
	defer a.mu.Unlock()
	content, ok := c.files[at]
	if !ok {
		return model.PathStat{}, model.Errorf(model.KindNotFound, "Could not find the file %s in container %s", at, id)
	}
	return model.PathStat{Name: path.Base(at), Size: int64(len(content)), Mode: 0o644}, nil
}

// ReadArchive implements wire.Agent: what was unpacked there comes back.
func (a *Agent) ReadArchive(ctx context.Context, id, at string) (wire.Archive, error) {
	stat, err := a.StatPath(ctx, id, at)
	if err != nil {
		return wire.Archive{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return wire.Archive{}, err
	}
	return wire.Archive{Stat: stat, ReadCloser: io.NopCloser(bytes.NewReader(c.files[at]))}, nil
}

// WriteArchive implements wire.Agent: the archive is kept as it is.
func (a *Agent) WriteArchive(_ context.Context, id string, r wire.WriteArchiveRequest, tar io.Reader) error {
	content, err := io.ReadAll(tar)
	if err != nil {
		return err
	}
	c, err := a.open(id)
	if err != nil {
		return err
	}
	defer a.mu.Unlock()
	if c.files == nil {
		c.files = map[string][]byte{}
	}
	c.files[r.Path] = content
	return nil
}

// Export implements wire.Agent: it is empty.
func (a *Agent) Export(_ context.Context, id string) (io.ReadCloser, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	if _, err := a.get(id); err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(nil)), nil
}

// Changes implements wire.Agent: what was unpacked was added.
func (a *Agent) Changes(_ context.Context, id string) ([]model.FileChange, error) {
	c, err := a.open(id)
	if err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	changes := []model.FileChange{}
	for at := range c.files {
		changes = append(changes, model.FileChange{Path: at, Kind: model.FileAdded})
	}
	return changes, nil
}

// Commit implements wire.Agent: each image it makes is a new one.
func (a *Agent) Commit(_ context.Context, id string, r wire.CommitRequest) (wire.Committed, error) {
	c, err := a.open(id)
	if err != nil {
		return wire.Committed{}, err
	}
	defer a.mu.Unlock()
	img := model.Image{
		ID: "sha256:" + model.NewID(), Digest: "sha256:" + model.NewID(), OS: "linux", Architecture: "amd64",
		Config: r.Config, Author: r.Author, Comment: r.Comment, Created: r.Created, Size: 1 << 10,
		DiffIDs: []string{"sha256:" + model.NewID()}, History: []model.ImageHistory{{Size: 1 << 10}},
	}
	a.images[img.ID] = img
	return wire.Committed{Image: img, Ack: a.write(c, "commit", nil)}, nil
}
