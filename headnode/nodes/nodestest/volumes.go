package nodestest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// volume is one of a node in memory. Its content is what a stream brought.
type volume struct {
	Size      int64
	Content   string
	snapshots []model.VolumeSnapshot
	contents  map[string]string // of snapshots
	held      int64             // bytes that only snapshots hold
	offered   string            // the node that may read it
}

// HasVolume reports whether the node has the volume, and what it may hold.
func (a *Agent) HasVolume(id string) (size int64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.volumes[id]
	if !ok {
		return 0, false
	}
	return v.Size, true
}

// Fill puts something into a volume.
func (a *Agent) Fill(id, content string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v := a.volumes[id]; v != nil {
		v.Content = content
	}
}

// HoldInSnapshots says how many bytes only the snapshots of a volume hold.
func (a *Agent) HoldInSnapshots(id string, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v := a.volumes[id]; v != nil {
		v.held = bytes
	}
}

func (a *Agent) makeVolumes(refs []wire.VolumeRef) {
	for _, r := range refs {
		if a.volumes[r.ID] == nil {
			a.volumes[r.ID] = &volume{Size: r.Size, contents: map[string]string{}}
		}
	}
}

// openVolume takes the lock and finds a volume; without an error the caller
// unlocks.
func (a *Agent) openVolume(id string) (*volume, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	v := a.volumes[id]
	if v == nil {
		a.mu.Unlock()
		return nil, model.Errorf(model.KindNotFound, "the node does not have the volume")
	}
	return v, nil
}

// Volumes implements wire.Agent.
func (a *Agent) Volumes(context.Context) ([]string, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	var ids []string
	for id := range a.volumes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// OnRemoveVolume has the node call wait, and answer nothing meanwhile, before it
// removes a volume.
func (a *Agent) OnRemoveVolume(wait func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removing = wait
}

// RemoveVolume implements wire.Agent.
func (a *Agent) RemoveVolume(_ context.Context, id string) error {
	if err := a.enter(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if a.removing != nil {
		a.removing()
	}
	for _, c := range a.containers {
		if slices.ContainsFunc(c.spec.Spec.Mounts, func(m model.Mount) bool { return m.VolumeID == id }) {
			return model.Errorf(model.KindConflict, "a container mounts the volume")
		}
	}
	delete(a.volumes, id)
	return nil
}

// VolumeUsage implements wire.Agent: a volume takes what was put into it.
func (a *Agent) VolumeUsage(_ context.Context, ids []string) (map[string]model.VolumeUsage, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	usage := map[string]model.VolumeUsage{}
	for _, id := range ids {
		if v := a.volumes[id]; v != nil {
			usage[id] = model.VolumeUsage{Used: int64(len(v.Content)), Snapshots: v.held}
		}
	}
	return usage, nil
}

// ResizeVolume implements wire.Agent.
func (a *Agent) ResizeVolume(_ context.Context, id string, size int64) error {
	v, err := a.openVolume(id)
	if err != nil {
		return err
	}
	defer a.mu.Unlock()
	if size > 0 && int64(len(v.Content)) > size {
		return model.Errorf(model.KindConflict, "the volume holds more than that")
	}
	v.Size = size
	return nil
}

// SnapshotVolume implements wire.Agent.
func (a *Agent) SnapshotVolume(_ context.Context, id, snapshot string) error {
	v, err := a.openVolume(id)
	if err != nil {
		return err
	}
	defer a.mu.Unlock()
	if _, there := v.contents[snapshot]; there {
		return model.Errorf(model.KindConflict, "the volume has a snapshot %s already", snapshot)
	}
	v.contents[snapshot] = v.Content
	v.snapshots = append(v.snapshots, model.VolumeSnapshot{Name: snapshot, Created: time.Now().UTC()})
	return nil
}

// VolumeSnapshots implements wire.Agent.
func (a *Agent) VolumeSnapshots(_ context.Context, id string) ([]model.VolumeSnapshot, error) {
	v, err := a.openVolume(id)
	if err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	return slices.Clone(v.snapshots), nil
}

// RemoveSnapshot implements wire.Agent.
func (a *Agent) RemoveSnapshot(_ context.Context, id, snapshot string) error {
	v, err := a.openVolume(id)
	if err != nil {
		return err
	}
	defer a.mu.Unlock()
	if _, there := v.contents[snapshot]; !there {
		return noSnapshot(snapshot)
	}
	delete(v.contents, snapshot)
	v.snapshots = slices.DeleteFunc(v.snapshots, func(s model.VolumeSnapshot) bool { return s.Name == snapshot })
	return nil
}

func noSnapshot(name string) error {
	return model.Errorf(model.KindNotFound, "the volume has no snapshot %s", name)
}

// RestoreVolume implements wire.Agent.
func (a *Agent) RestoreVolume(_ context.Context, id, snapshot string) error {
	v, err := a.openVolume(id)
	if err != nil {
		return err
	}
	defer a.mu.Unlock()
	content, there := v.contents[snapshot]
	if !there {
		return noSnapshot(snapshot)
	}
	v.Content = content
	return nil
}

// content is what a volume holds, or held at a snapshot.
func (v *volume) content(snapshot string) (string, error) {
	if snapshot == "" {
		return v.Content, nil
	}
	content, there := v.contents[snapshot]
	if !there {
		return "", noSnapshot(snapshot)
	}
	return content, nil
}

// CloneVolume implements wire.Agent.
func (a *Agent) CloneVolume(_ context.Context, id string, r wire.CloneVolumeRequest) error {
	v, err := a.openVolume(id)
	if err != nil {
		return err
	}
	defer a.mu.Unlock()
	content, err := v.content(r.Snapshot)
	if err != nil {
		return err
	}
	a.volumes[r.To.ID] = &volume{Size: r.To.Size, Content: content, contents: map[string]string{}}
	return nil
}

// SendVolume implements wire.Agent.
func (a *Agent) SendVolume(_ context.Context, id string, r wire.SendVolumeRequest) (io.ReadCloser, error) {
	v, err := a.openVolume(id)
	if err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	content, err := v.content(r.Snapshot)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(encoded)), nil
}

// ReceiveVolume implements wire.Agent.
func (a *Agent) ReceiveVolume(_ context.Context, id string, r wire.ReceiveVolumeRequest, stream io.Reader) error {
	var content string
	if err := json.NewDecoder(stream).Decode(&content); err != nil {
		return model.WrapError(model.KindInvalid, err, "the stream is no volume")
	}
	if err := a.enter(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	v := a.volumes[id]
	if (v != nil) != r.Onto {
		return model.Errorf(model.KindConflict, "the node has the volume, or lacks it")
	}
	if v == nil {
		v = &volume{Size: r.Size, contents: map[string]string{}}
		a.volumes[id] = v
	}
	v.Content = content
	return nil
}
