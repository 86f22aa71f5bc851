package wiretest

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// VolumeID is the one volume of the Agent of this package: it holds
// VolumeContent, and its node cannot resize it.
const (
	VolumeID      = "4444444444444444"
	VolumeContent = "what is in the volume"
)

func findVolume(id string) error {
	if id != VolumeID {
		return model.Errorf(model.KindNotFound, "the node does not have the volume")
	}
	return nil
}

// Volumes implements wire.Agent.
func (a *Agent) Volumes(context.Context) ([]string, error) { return []string{VolumeID}, nil }

// RemoveVolume implements wire.Agent: the volume is in use.
func (a *Agent) RemoveVolume(_ context.Context, id string) error {
	if findVolume(id) == nil {
		return model.Errorf(model.KindConflict, "a container mounts the volume")
	}
	return nil
}

// VolumeUsage implements wire.Agent.
func (a *Agent) VolumeUsage(_ context.Context, ids []string) (map[string]model.VolumeUsage, error) {
	usage := map[string]model.VolumeUsage{}
	for _, id := range ids {
		if findVolume(id) == nil {
			usage[id] = model.VolumeUsage{Used: int64(len(VolumeContent))}
		}
	}
	return usage, nil
}

// ResizeVolume implements wire.Agent.
func (a *Agent) ResizeVolume(_ context.Context, id string, _ int64) error {
	if err := findVolume(id); err != nil {
		return err
	}
	return model.Errorf(model.KindNotImplemented, "the node's storage cannot hold volumes to a size")
}

// SnapshotVolume implements wire.Agent.
func (a *Agent) SnapshotVolume(_ context.Context, id, _ string) error { return findVolume(id) }

// VolumeSnapshots implements wire.Agent.
func (a *Agent) VolumeSnapshots(_ context.Context, id string) ([]model.VolumeSnapshot, error) {
	return []model.VolumeSnapshot{{Name: "daily", Created: time.Unix(1_700_000_000, 0).UTC(), Used: 7}}, findVolume(id)
}

// RemoveSnapshot implements wire.Agent.
func (a *Agent) RemoveSnapshot(_ context.Context, id, _ string) error { return findVolume(id) }

// RestoreVolume implements wire.Agent.
func (a *Agent) RestoreVolume(_ context.Context, id, _ string) error { return findVolume(id) }

// CloneVolume implements wire.Agent.
func (a *Agent) CloneVolume(_ context.Context, id string, _ wire.CloneVolumeRequest) error {
	return findVolume(id)
}

// SendVolume implements wire.Agent.
func (a *Agent) SendVolume(_ context.Context, id string, _ wire.SendVolumeRequest) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(VolumeContent)), findVolume(id)
}

// ReceiveVolume implements wire.Agent: it takes VolumeContent and refuses any
// other stream.
func (a *Agent) ReceiveVolume(_ context.Context, _ string, _ wire.ReceiveVolumeRequest, stream io.Reader) error {
	content, err := io.ReadAll(stream)
	if err == nil && string(content) != VolumeContent {
		err = errors.New(string(content))
	}
	if err != nil {
		return model.WrapError(model.KindInvalid, err, "the stream is no volume")
	}
	return nil
}
