package rack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool"
)

// Kinds of storage.
const (
	storageOverlay = "overlay"
	storageZFS     = "zfs"
)

// pool is where nodes keep datasets, and how zfs is called there. The zero
// value is a rack without ZFS.
type pool struct {
	name    string
	command []string // nil is plain zfs
}

// poolDir holds the private pool of a rack that was given none.
func (l layout) poolDir() string { return filepath.Join(l.dir, "pool") }

// ensurePool starts the private pool, if the rack has one. It comes before
// the hosts: they see its mounts because they are made after it.
func (r *Rack) ensurePool(ctx context.Context) error {
	if r.rec.Storage != storageZFS {
		return nil
	}
	if r.rec.Pool != "" {
		r.pool = pool{name: r.rec.Pool}
		return nil
	}
	if _, err := os.Stat("/dev/zfs"); err == nil {
		return model.Errorf(model.KindInvalid, "--storage zfs: this machine has ZFS; name one of its pools or datasets with --pool")
	}
	d, err := fusepool.Start(ctx, fusepool.Config{Dir: r.poolDir()})
	if err != nil {
		return fmt.Errorf("cannot make a pool: %w", err)
	}
	r.pool = pool{name: d.Pool, command: d.Command()}
	return r.renewNodes(ctx)
}

// renewNodes gives nodes new mount namespaces if the pool's daemon is another
// than when theirs were made: their mounts lead nowhere then, and what ran on
// them has lost its files.
func (r *Rack) renewNodes(ctx context.Context) error {
	path := filepath.Join(r.runDir(), "pool.json")
	var former []string
	err := atomicfile.ReadJSON(path, &former)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read which pool is in use: %w", err)
	}
	if err == nil && !slices.Equal(former, r.pool.command) {
		for _, h := range r.hosts() {
			if err := r.dropMounts(ctx, h); err != nil {
				return err
			}
		}
	}
	if err := atomicfile.WriteJSON(path, r.pool.command, 0o600); err != nil {
		return fmt.Errorf("cannot record which pool is in use: %w", err)
	}
	return nil
}

// dropMounts ends what runs on a host, a node's containers included, and lets
// go of its mount namespace.
func (r *Rack) dropMounts(ctx context.Context, h host) error {
	ns := pinnedInode(r.mountPin(h))
	if ns == "" {
		return nil
	}
	there := func(p process) bool {
		return p.mounts == ns || (h.role == roleNode && inContainerBelow(p, r.nodeCgroup(h)))
	}
	err := killProcesses(ctx, there)
	if err != nil {
		return fmt.Errorf("cannot end what runs on %s: %w", h.name, err)
	}
	if err := namespace.Unpin(r.mountPin(h)); err != nil {
		return err
	}
	// the other end was in a network that only those mounts kept
	return removeLink(r.externalLink(h))
}

// storageConfig is the part of agent.toml that says what roots are made of.
func (r *Rack) storageConfig(h host) map[string]any {
	if r.rec.Storage == storageOverlay {
		return map[string]any{"kind": storageOverlay}
	}
	config := map[string]any{"kind": storageZFS, "dataset": r.pool.name + "/" + r.datasetName(h)}
	if r.pool.command != nil {
		config["command"] = r.pool.command
	}
	return config
}

// datasetName tells racks apart that share a pool.
func (r *Rack) datasetName(h host) string {
	return fmt.Sprintf("%s-%s", r.firewallTable(), h.name)
}

// removePool removes the rack's datasets, or its private pool.
func (r *Rack) removePool(ctx context.Context) error {
	if r.rec.Storage != storageZFS {
		return nil
	}
	if r.rec.Pool == "" {
		if err := r.endLostPool(ctx); err != nil {
			return fmt.Errorf("cannot end the rack's pool: %w", err)
		}
		if err := fusepool.Destroy(ctx, r.poolDir()); err != nil {
			return fmt.Errorf("cannot remove the rack's pool: %w", err)
		}
		return nil
	}
	p, err := zfs.Open(ctx, zfs.Config{Dataset: r.rec.Pool})
	if err != nil {
		return fmt.Errorf("cannot open the pool %s: %w", r.rec.Pool, err)
	}
	for _, h := range r.hosts() {
		if h.role != roleNode {
			continue
		}
		if err := p.Destroy(ctx, r.datasetName(h)); err != nil {
			return fmt.Errorf("cannot remove the rack's datasets: %w", err)
		}
	}
	return nil
}

// endLostPool ends the daemon of a private pool whose folder is gone, and with
// it what told which process that is.
func (r *Rack) endLostPool(ctx context.Context) error {
	if isThere(r.poolDir()) {
		return nil
	}
	return killProcesses(ctx, r.servesPool)
}

// servesPool reports whether p works on the rack's private pool, by its command line.
func (r *Rack) servesPool(p process) bool {
	return r.dir != "" && slices.ContainsFunc(p.args, func(a string) bool { return within(a, r.poolDir()) })
}
