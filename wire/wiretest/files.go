package wiretest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"path"
	"slices"
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
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	if c.state.Status != from {
		return a.place(), model.Errorf(model.KindConflict, "container %s is %s, not %s", id, c.state.Status, from)
	}
	c.state.Status = to
	return a.log(id, action, &c.state), nil
}

// Update implements wire.Agent.
func (a *Agent) Update(_ context.Context, id string, r model.ContainerUpdate) (wire.Ack, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return wire.Ack{}, err
	}
	if r.Limits != nil {
		c.request.Container.Spec.Limits = *r.Limits
	}
	if r.Restart != nil {
		c.request.Container.Spec.Restart = *r.Restart
	}
	ack := a.log(id, "update", nil)
	a.entries[len(a.entries)-1].Update = &r
	return ack, nil
}

// Stats implements wire.Agent.
func (a *Agent) Stats(_ context.Context, id string) (model.Stats, error) {
	if _, err := a.runningProcess(id); err != nil {
		return model.Stats{}, err
	}
	return model.Stats{
		Read: time.Now(), CgroupVersion: 2, CPU: model.CPUStats{Total: 7, Online: 4},
		Networks: map[string]model.NetStats{"eth0": {RxBytes: 11}},
	}, nil
}

// Health implements wire.Agent.
func (a *Agent) Health(_ context.Context, id string) (model.Health, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil || c.request.Container.Spec.Healthcheck == nil {
		return model.Health{}, err
	}
	return model.Health{Status: model.HealthStarting}, nil
}

// Sizes implements wire.Agent.
func (a *Agent) Sizes(_ context.Context, ids []string) (map[string]model.ContainerSize, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sizes := map[string]model.ContainerSize{}
	for _, id := range ids {
		if c := a.containers[id]; c != nil {
			rw := c.written()
			sizes[id] = model.ContainerSize{RW: rw, Root: rw + 1000}
		}
	}
	return sizes, nil
}

// written is how much was unpacked into the container.
func (c *container) written() int64 {
	var n int64
	for _, content := range c.files {
		n += int64(len(content))
	}
	return n
}

// file finds what was unpacked at a path.
func (a *Agent) file(id, at string) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return nil, err
	}
	content, ok := c.files[at]
	if !ok {
		return nil, model.Errorf(model.KindNotFound, "Could not find the file %s in container %s", at, id)
	}
	return content, nil
}

// StatPath implements wire.Agent.
func (a *Agent) StatPath(_ context.Context, id, at string) (model.PathStat, error) {
	content, err := a.file(id, at)
	if err != nil {
		return model.PathStat{}, err
	}
	return model.PathStat{Name: path.Base(at), Size: int64(len(content)), Mode: 0o644}, nil
}

// ReadArchive implements wire.Agent: what was unpacked there comes back.
func (a *Agent) ReadArchive(ctx context.Context, id, at string) (wire.Archive, error) {
	stat, err := a.StatPath(ctx, id, at)
	if err != nil {
		return wire.Archive{}, err
	}
	content, err := a.file(id, at)
	return wire.Archive{Stat: stat, ReadCloser: io.NopCloser(bytes.NewReader(content))}, err
}

// WriteArchive implements wire.Agent: the archive is kept as it is.
func (a *Agent) WriteArchive(_ context.Context, id string, r wire.WriteArchiveRequest, tar io.Reader) error {
	if _, err := a.process(id); err != nil {
		return err
	}
	content, err := io.ReadAll(tar)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return err
	}
	if c.files == nil {
		c.files = map[string][]byte{}
	}
	c.files[r.Path] = content
	return nil
}

// Export implements wire.Agent: all that was unpacked, by path.
func (a *Agent) Export(_ context.Context, id string) (io.ReadCloser, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	for _, at := range slices.Sorted(maps.Keys(c.files)) {
		all.Write(c.files[at])
	}
	return io.NopCloser(&all), nil
}

// Changes implements wire.Agent.
func (a *Agent) Changes(_ context.Context, id string) ([]model.FileChange, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := a.get(id)
	if err != nil {
		return nil, err
	}
	changes := []model.FileChange{}
	for _, at := range slices.Sorted(maps.Keys(c.files)) {
		changes = append(changes, model.FileChange{Path: at, Kind: model.FileAdded})
	}
	return changes, nil
}

// CommittedID is the image that every commit makes.
const CommittedID = "sha256:3333333333333333333333333333333333333333333333333333333333333333"

// Commit implements wire.Agent.
func (a *Agent) Commit(_ context.Context, id string, r wire.CommitRequest) (wire.Committed, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.get(id); err != nil {
		return wire.Committed{}, err
	}
	a.images[CommittedID] = true
	img := model.Image{ID: CommittedID, OS: "linux", Config: r.Config, Author: r.Author, Comment: r.Comment, Created: r.Created}
	return wire.Committed{Image: img, Ack: a.log(id, "commit", nil)}, nil
}
