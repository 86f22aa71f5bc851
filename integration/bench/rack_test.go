package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/internal/seedimage"
	"github.com/spearheadcloud/spearhead/rack"
)

// imageName is the image's in the registry beside the rack, and in dockerd.
const imageName = "spearhead-bench/busybox:1"

// busyboxFolder makes the one image's files, for both engines.
func busyboxFolder(ctx context.Context, work string) (string, error) {
	folder := filepath.Join(work, "busybox")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	return folder, seedimage.Busybox(ctx, folder)
}

// openRack builds the program and brings up a rack that holds the image.
func (s *stage) openRack(ctx context.Context, work, folder string) (*engine, error) {
	s.binary = filepath.Join(work, "spearhead")
	if err := bed.Build(ctx, s.binary); err != nil {
		return nil, err
	}
	dir := filepath.Join(work, "rack")
	s.closers = append(s.closers, func() error { return s.dev(context.Background(), "down", dir) })
	if err := s.dev(ctx, "up", dir); err != nil {
		return nil, err
	}
	r, err := rack.Load(dir)
	if err != nil {
		return nil, err
	}
	settings, err := r.Env("", "")
	if err != nil {
		return nil, err
	}
	e, err := newEngine(ours, settings)
	if err != nil {
		return nil, err
	}
	e.processes = func() ([]process, error) { return processesOfProgram(s.binary) }
	registry, err := bed.StartRegistry(ctx, e.host, filepath.Join(work, "registry"), filepath.Join(work, "registry.yml"))
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, registry.Close)
	s.registry, e.registry = registry.Address, registry.Address
	ref := registry.Address + "/" + imageName
	e.image = ref
	if err := seedimage.Push(ctx, ref, folder, seedimage.Config{Cmd: []string{"/bin/sh"}, Env: []string{"PATH=/bin"}}); err != nil {
		return nil, err
	}
	return e, e.pull(ctx, ref)
}

// dev is spearhead dev up or down for the rack in dir.
func (s *stage) dev(ctx context.Context, verb, dir string, options ...string) error {
	out, err := exec.CommandContext(ctx, s.binary, append([]string{"dev", verb, "--dir", dir}, options...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("spearhead dev %s: %w: %s", verb, err, out)
	}
	return nil
}
