package rack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// upDeadline bounds Up as a whole; on an idle machine it takes seconds.
const upDeadline = 5 * time.Minute

// Up builds a rack, or completes and restarts one that exists, and returns
// when docker works through it. What exists of a rack (its state, accounts
// and addresses) is kept. If it fails, what was built stays for a look at it:
// Up again or Down both go on from there.
func Up(ctx context.Context, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, upDeadline)
	defer cancel()
	release, err := lockFile(ctx, layout{dir: o.Dir}.lock())
	if err != nil {
		return err
	}
	defer release()
	var r *Rack
	if err := withShared(ctx, func() (err error) { r, err = found(o); return err }); err != nil {
		return err
	}
	r.progress = o.Progress
	if err := r.build(ctx); err != nil {
		return err
	}
	return r.bringUp(ctx)
}

// complete fills in defaults and refuses what cannot be.
func (o Options) complete() (Options, error) {
	if os.Getuid() != 0 {
		return o, model.Errorf(model.KindForbidden, "a rack needs root: its hosts are network namespaces; use sudo")
	}
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("cannot find the rack's folder: %w", err)
	}
	o.Dir = dir
	if o.Heads != 0 && o.Heads != 1 && o.Heads != 3 && o.Heads != maxHeads {
		return o, model.Errorf(model.KindInvalid, "--heads %d: a data center has 1, 3 or %d heads", o.Heads, maxHeads)
	}
	if o.Nodes < 0 || o.Nodes > maxNodes {
		return o, model.Errorf(model.KindInvalid, "--nodes %d: a rack has 1 to %d nodes", o.Nodes, maxNodes)
	}
	switch o.Storage {
	case "", storageOverlay, storageZFS:
	default:
		return o, model.Errorf(model.KindInvalid, "--storage %q: use overlay or zfs", o.Storage)
	}
	if o.Pool != "" && o.Storage != storageZFS {
		return o, model.Errorf(model.KindInvalid, "--pool is for --storage zfs")
	}
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return o, fmt.Errorf("cannot find this program: %w", err)
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	o.Progress = oneAtATime(o.Progress)
	return o, nil
}

func oneAtATime(tell func(string)) func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		tell(line)
	}
}

// found loads the rack in the folder, or founds a new one there, and claims
// its addresses.
func found(o Options) (*Rack, error) {
	r, err := Load(o.Dir)
	if model.IsKind(err, model.KindNotFound) {
		return foundNew(o)
	}
	if err != nil {
		return nil, err
	}
	if (o.Storage != "" && r.rec.Storage != o.Storage) || (o.Pool != "" && r.rec.Pool != o.Pool) {
		return nil, model.Errorf(model.KindConflict, "the rack in %s has --storage %s: take it down first, or leave that as it is", o.Dir, strings.TrimSpace(r.rec.Storage+" "+r.rec.Pool))
	}
	for _, kind := range []struct {
		name      string
		want, has int
	}{{"nodes", o.Nodes, r.rec.Nodes}, {"heads", o.Heads, r.rec.Heads}} {
		if kind.want != 0 && kind.want < kind.has {
			return nil, model.Errorf(model.KindConflict, "the rack in %s has %d %s and cannot shrink to %d: take it down first, or leave --%s out", o.Dir, kind.has, kind.name, kind.want, kind.name)
		}
	}
	r.rec.Heads, r.rec.Nodes = max(r.rec.Heads, o.Heads), max(r.rec.Nodes, o.Nodes)
	r.rec.Binary = o.Binary
	if o.Mirrors != nil {
		r.rec.Mirrors = o.Mirrors
	}
	if err := r.save(); err != nil {
		return nil, err
	}
	return r, r.reclaim()
}

func foundNew(o Options) (*Rack, error) {
	if o.Storage == "" {
		o.Storage = storageOverlay
	}
	if err := refuseRemains(o.Dir); err != nil {
		return nil, err
	}
	held, err := claims()
	if err != nil {
		return nil, err
	}
	taken, err := takenSubnets()
	if err != nil {
		return nil, err
	}
	index, err := chooseIndex(held, taken)
	if err != nil {
		return nil, err
	}
	r := &Rack{layout: layout{dir: o.Dir, index: index}, rec: record{
		Index: index, Heads: max(1, o.Heads), Nodes: max(1, o.Nodes), Storage: o.Storage, Pool: o.Pool, Binary: o.Binary, Mirrors: o.Mirrors,
	}}
	r.rec.MadeDirs = missingDirs(o.Dir)
	if err := r.refuseForeign(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the rack's folder: %w", err)
	}
	if err := r.save(); err != nil {
		return nil, err
	}
	return r, r.writeClaim()
}

// missingDirs lists dir and the folders above it that do not exist, innermost
// first.
func missingDirs(dir string) []string {
	var missing []string
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			break
		}
		missing = append(missing, dir)
	}
	return missing
}

// refuseForeign protects a folder that has things in it which Down would take
// for the rack's own.
func (r *Rack) refuseForeign() error {
	for _, name := range r.entries() {
		if _, err := os.Lstat(filepath.Join(r.dir, name)); err == nil {
			return model.Errorf(model.KindConflict, "%s is not a rack but holds %q: use an empty folder", r.dir, name)
		}
	}
	return nil
}

// build makes everything that daemons stand on.
func (r *Rack) build(ctx context.Context) error {
	if err := r.ensureRunDir(); err != nil {
		return err
	}
	if err := r.ensurePool(ctx); err != nil {
		return err
	}
	if err := r.wireMachine(); err != nil {
		return err
	}
	if err := withShared(ctx, r.openWay); err != nil {
		return err
	}
	if err := r.writeResolvers(systemResolvers()); err != nil {
		return err
	}
	for _, h := range r.hosts() {
		if err := r.ensureHost(h); err != nil {
			return err
		}
		if err := r.writeConfig(h); err != nil {
			return err
		}
		r.progress(fmt.Sprintf("%-8s %s", h.name, h.addr))
	}
	return nil
}
