package nodes

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func (unreachable) Volumes(context.Context) ([]string, error) { return nil, errUnreachable }

func (unreachable) RemoveVolume(context.Context, string) error { return errUnreachable }

func (unreachable) VolumeUsage(context.Context, []string) (map[string]model.VolumeUsage, error) {
	return nil, errUnreachable
}

func (unreachable) ResizeVolume(context.Context, string, int64) error { return errUnreachable }

func (unreachable) SnapshotVolume(context.Context, string, string) error { return errUnreachable }

func (unreachable) VolumeSnapshots(context.Context, string) ([]model.VolumeSnapshot, error) {
	return nil, errUnreachable
}

func (unreachable) RemoveSnapshot(context.Context, string, string) error { return errUnreachable }

func (unreachable) RestoreVolume(context.Context, string, string) error { return errUnreachable }

func (unreachable) CloneVolume(context.Context, string, wire.CloneVolumeRequest) error {
	return errUnreachable
}

func (unreachable) SendVolume(context.Context, string, wire.SendVolumeRequest) (io.ReadCloser, error) {
	return nil, errUnreachable
}

func (unreachable) ReceiveVolume(context.Context, string, wire.ReceiveVolumeRequest, io.Reader) error {
	return errUnreachable
}
