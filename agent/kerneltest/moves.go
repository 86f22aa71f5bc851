package kerneltest

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// KeepFiles gives the kernel a directory for files of roots, volumes and logs,
// which else are names only. It has to be called first.
func (k *Kernel) KeepFiles(dir string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files = dir
}

// Dir is where files of a container or a volume are: what is "root", "log" or
// "volume".
func (k *Kernel) Dir(what, id string) string { return filepath.Join(k.files, what, id) }

// kept makes the directory of something that is there.
func (k *Kernel) kept(what, id string, there bool) (string, error) {
	if !there || k.files == "" {
		return "", model.Errorf(model.KindNotFound, "there is no %s of %s", what, id)
	}
	dir := k.Dir(what, id)
	return dir, os.MkdirAll(dir, 0o755)
}

func (d *imageDriver) Tree(_ context.Context, container string) (dir, form string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, there := d.roots[container]
	dir, err = d.kept("root", container, there)
	return dir, "plain", err
}

func (d *volumeDriver) Data(_ context.Context, id string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, there := d.volumes[id]
	return d.kept("volume", id, there)
}

func (d *volumeDriver) Mark(context.Context, string) ([]string, error) { return nil, errPlain }

func (d *volumeDriver) Marks(context.Context, string) ([]string, error) { return nil, errPlain }

func (d *volumeDriver) ReceiveStep(context.Context, string, wire.ReceiveVolumeRequest, io.Reader) error {
	return errPlain
}

func (d *volumeDriver) Partial(context.Context, string) (string, error) { return "", errPlain }

func (d *volumeDriver) DropPartial(context.Context, string) error { return errPlain }

func (d *volumeDriver) Unmark(context.Context, string) error { return nil }
