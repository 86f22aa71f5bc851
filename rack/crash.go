package rack

import (
	"context"
	"fmt"
	"os"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// crash is what a loss of power does to a host: all its processes end at once,
// containers included, and what lived in memory is gone with them: namespaces,
// mounts, links, cgroups and the run directory. Its disk keeps what it has.
func (r *Rack) crash(ctx context.Context, h host) error {
	if err := r.dropMounts(ctx, h); err != nil {
		return err
	}
	if err := namespace.Unpin(r.netPin(h)); err != nil {
		return err
	}
	if err := removeLink(r.underlayLink(h)); err != nil {
		return err
	}
	if err := removeCgroups(ctx, r.nodeCgroup(h)); err != nil {
		return err
	}
	if err := os.RemoveAll(r.hostRun(h)); err != nil {
		return fmt.Errorf("cannot clear the run directory of %s: %w", h.name, err)
	}
	return nil
}

// boot starts a host's daemon, and before that the host itself if it has
// crashed.
func (r *Rack) boot(h host) error {
	if r.isOff(h) {
		if err := r.ensureHost(h); err != nil {
			return err
		}
	}
	return r.startDaemon(h)
}

// isOff reports whether a host has crashed and was not booted since.
func (r *Rack) isOff(h host) bool { return !namespace.IsPinned(r.mountPin(h)) }
