package kerneltest

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// volumeDriver keeps volumes that are names only, beside those of wiretest.
type volumeDriver struct {
	*Kernel
	life *Life
}

// HasVolume reports whether the node has a volume, and whether an image's
// files were copied into it.
func (k *Kernel) HasVolume(id string) (filled, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	filled, ok = k.volumes[id]
	return filled, ok
}

func (d *volumeDriver) Create(_ context.Context, v wire.VolumeRef) error {
	return d.do(d.life, "volume", func() error {
		if _, there := d.volumes[v.ID]; !there {
			d.volumes[v.ID] = false
		}
		return nil
	})
}

func (d *volumeDriver) Fill(_ context.Context, id, rootDir, _ string, _ bool) error {
	return d.do(d.life, "fill", func() error {
		if _, there := d.volumes[id]; !there || !d.mounts[strings.TrimPrefix(rootDir, "/root/")] {
			return d.violate("filling of volume %s from %s: there %t", id, rootDir, there)
		}
		d.volumes[id] = true
		return nil
	})
}

func (d *volumeDriver) Expose(_ context.Context, container string, mounts []model.Mount) (map[int]string, error) {
	paths := map[int]string{}
	return paths, d.do(d.life, "expose", func() error {
		for i, m := range mounts {
			if m.Type != model.MountVolume {
				continue
			}
			if _, there := d.volumes[m.VolumeID]; !there {
				return model.Errorf(model.KindNotFound, "the node does not have the volume")
			}
			paths[i] = "/volumes/" + m.VolumeID
			d.exposed[container] = true
		}
		return nil
	})
}

func (d *volumeDriver) Conceal(container string) error {
	return d.do(d.life, "conceal", func() error {
		delete(d.exposed, container)
		return nil
	})
}

func (d *volumeDriver) Exposed() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.exposed)), nil
}

func (d *volumeDriver) Remove(_ context.Context, id string) error {
	return d.do(d.life, "remove volume", func() error {
		delete(d.volumes, id)
		return nil
	})
}

func (d *volumeDriver) List(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.volumes)), nil
}

func (d *volumeDriver) Usage(_ context.Context, id string) (model.VolumeUsage, error) {
	return model.VolumeUsage{Used: int64(len(wiretest.VolumeContent))}, d.find(id)
}

func (d *volumeDriver) find(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, there := d.volumes[id]; !there {
		return model.Errorf(model.KindNotFound, "the node does not have the volume")
	}
	return nil
}

// errPlain is the answer of a storage that is directories.
var errPlain = model.Errorf(model.KindNotImplemented, "the node's storage cannot do that with volumes")

func (d *volumeDriver) Resize(_ context.Context, id string, _ int64) error {
	if err := d.find(id); err != nil {
		return err
	}
	return errPlain
}

func (d *volumeDriver) Snapshot(context.Context, string, string) error { return errPlain }

func (d *volumeDriver) Snapshots(context.Context, string) ([]model.VolumeSnapshot, error) {
	return nil, errPlain
}

func (d *volumeDriver) RemoveSnapshot(context.Context, string, string) error { return errPlain }

func (d *volumeDriver) Restore(context.Context, string, string) error { return errPlain }

func (d *volumeDriver) Clone(context.Context, string, wire.CloneVolumeRequest) error { return errPlain }

func (d *volumeDriver) Send(context.Context, string, wire.SendVolumeRequest) (io.ReadCloser, error) {
	return nil, errPlain
}

func (d *volumeDriver) Receive(context.Context, string, wire.ReceiveVolumeRequest, io.Reader) error {
	return errPlain
}
