package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

// onAnyVolume calls a head about a volume of any account, which the first argument names.
func onAnyVolume(c *cli.Context, names []string, call func(head *adminapi.Client, login, name string, args []string) error) error {
	args, err := arguments(c, append([]string{"VOLUME"}, names...)...)
	if err != nil {
		return err
	}
	login, name, err := loginAndName(c, args[0])
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return call(head, login, name, args[1:]) })
}

// volumesOf is an account's volumes in the hands of an operator.
type volumesOf struct {
	head  *adminapi.Client
	login string
}

var _ volumeWork = volumesOf{}

// Snapshots implements volumeWork, as do those below.
func (v volumesOf) Snapshots(ctx context.Context, name string) ([]model.VolumeSnapshot, error) {
	return v.head.Snapshots(ctx, v.login, name)
}

func (v volumesOf) Snapshot(ctx context.Context, name, snapshot string) error {
	return v.head.Snapshot(ctx, v.login, name, snapshot)
}

func (v volumesOf) RemoveSnapshot(ctx context.Context, name, snapshot string) error {
	return v.head.RemoveSnapshot(ctx, v.login, name, snapshot)
}

func (v volumesOf) RestoreVolume(ctx context.Context, name, snapshot string) error {
	return v.head.RestoreVolume(ctx, v.login, name, snapshot)
}

func (v volumesOf) ResizeVolume(ctx context.Context, name string, size int64) error {
	return v.head.ResizeVolume(ctx, v.login, name, size)
}

func (v volumesOf) RenameVolume(ctx context.Context, name, to string) error {
	return v.head.RenameVolume(ctx, v.login, name, to)
}

func (v volumesOf) CloneVolume(ctx context.Context, name, snapshot, to string) error {
	return v.head.CloneVolume(ctx, v.login, name, adminapi.CloneRequest{Snapshot: snapshot, To: to})
}
