package network

import (
	"context"
	"errors"
	"slices"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
)

// takeOver finds what a former driver left: sandboxes and what they are on.
// What no sandbox uses goes.
func (d *Driver) takeOver(ctx context.Context) error {
	ids, err := listed(d.sandboxesDir())
	if err != nil {
		return err
	}
	for _, id := range ids {
		b, err := d.box(id)
		if err != nil {
			continue // not one of ours
		}
		b.mu.Lock()
		if rec := b.standing(); rec != nil {
			b.rec, b.uses = *rec, rec.segments()
		}
		b.mu.Unlock()
	}
	if err := d.resolvers.Keep(ctx, ids); err != nil {
		return err
	}
	if err := d.openStanding(); err != nil {
		return err
	}
	d.restoreNames(ctx)
	return nil
}

// openStanding opens what sandboxes use and removes what none does.
func (d *Driver) openStanding() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.removeIdle(func(*segment) bool { return true }); err != nil {
		return err
	}
	if ways, err := d.usedWays(); err != nil || len(ways) == 0 && d.cfg.Underlay.IsValid() {
		if err := errors.Join(err, d.lowerFence()); err != nil { // of one who was killed before he did
			return err
		}
	}
	found := map[string]bool{}
	for _, b := range d.boxes {
		for _, key := range b.uses {
			if err := d.takeOverSegment(key, found); err != nil {
				d.cfg.Logger.Error("cannot take over a network; its containers are cut off", "op", "recover", "segment", key, "err", err)
			}
		}
	}
	return nil
}

// takeOverSegment opens a segment that stands, with its sentries, unless it was
// found already. The caller holds d.mu.
func (d *Driver) takeOverSegment(key string, found map[string]bool) error {
	if found[key] {
		return nil
	}
	found[key] = true
	s, err := d.existing(key)
	if err != nil || s == nil {
		return err
	}
	return d.findSentries(s)
}

// removeIdle removes segments that no container uses, of those that which
// lets it. The caller holds d.mu.
func (d *Driver) removeIdle(which func(*segment) bool) error {
	used := map[string]bool{}
	for _, b := range d.boxes {
		for _, key := range b.uses {
			used[key] = true
		}
	}
	keys, err := listed(d.segmentsDir())
	if err != nil {
		return err
	}
	slices.Reverse(keys) // a VLAN goes before the segment that holds its NIC
	removed := false
	for _, key := range keys {
		if used[key] {
			continue
		}
		s, err := d.idle(key)
		if err != nil {
			return err
		}
		if s == nil || !which(s) {
			continue
		}
		delete(d.segments, key)
		if err := s.remove(d); err != nil {
			return err
		}
		removed = removed || s.rec.Fabric != nil
	}
	if ways, err := d.usedWays(); err != nil || !removed || len(ways) > 0 {
		return err
	}
	if err := failpoint.Hit("network/segment/before-fence"); err != nil {
		return err
	}
	return d.lowerFence()
}

// idle returns a segment that is about to go, opened as far as that needs. A
// stale one, of before a reboot, has no namespace: its files go here.
func (d *Driver) idle(key string) (*segment, error) {
	if s := d.segments[key]; s != nil {
		return s, nil
	}
	s := d.recorded(key)
	if s == nil {
		return nil, (&segment{dir: d.segmentDir(key)}).removeFiles()
	}
	return s, s.openNamespace()
}
