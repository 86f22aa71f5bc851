package zfs

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// SnapshotInfo describes a snapshot of a dataset.
type SnapshotInfo struct {
	Name    string    // the part behind the @
	Created time.Time // whole seconds
	Used    int64     // bytes that only this snapshot holds
}

// SnapshotNames lists the names of the snapshots of a dataset, the oldest first.
// A dataset that is missing is KindNotFound.
func (p *Pool) SnapshotNames(ctx context.Context, name string) ([]string, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	out, err := p.run.zfs(ctx, "list", "-H", "-o", "name", "-t", "snapshot", "-s", "creation", "-r", "-d", "1", p.full(name))
	if err != nil {
		return nil, fmt.Errorf("cannot list snapshots: %w", err)
	}
	var names []string
	for line := range strings.Lines(out) {
		dataset, snapshot, ok := strings.Cut(strings.TrimRight(line, "\n"), "@")
		if ok && dataset == p.full(name) {
			names = append(names, snapshot)
		}
	}
	return names, nil
}

// Snapshots describes the snapshots of a dataset, the oldest first. A dataset
// that is missing is KindNotFound.
func (p *Pool) Snapshots(ctx context.Context, name string) ([]SnapshotInfo, error) {
	names, err := p.SnapshotNames(ctx, name)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var all []SnapshotInfo
	args := []string{"get", "-Hp", "-o", "name,property,value", "creation,used"}
	for _, snapshot := range names {
		all, args = append(all, SnapshotInfo{Name: snapshot}), append(args, p.full(name)+"@"+snapshot)
	}
	out, err := p.run.zfs(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot read properties of snapshots: %w", err)
	}
	return all, describe(all, out)
}

// SnapshotsBelow lists the snapshots of all datasets below parent, each as
// "name@snapshot", in no order.
func (p *Pool) SnapshotsBelow(ctx context.Context, parent string) ([]string, error) {
	if err := checkName(parent); err != nil {
		return nil, err
	}
	out, err := p.run.zfs(ctx, "list", "-H", "-o", "name", "-t", "snapshot", "-r", p.full(parent))
	if err != nil {
		return nil, fmt.Errorf("cannot list snapshots: %w", err)
	}
	var all []string
	for line := range strings.Lines(out) {
		if name, ours := strings.CutPrefix(strings.TrimRight(line, "\n"), p.root+"/"); ours {
			all = append(all, name)
		}
	}
	return all, nil
}

// describe reads what zfs get printed of creation and used.
func describe(all []SnapshotInfo, out string) error {
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) != 3 {
			continue
		}
		_, snapshot, _ := strings.Cut(fields[0], "@")
		i := slices.IndexFunc(all, func(s SnapshotInfo) bool { return s.Name == snapshot })
		value, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil || i < 0 {
			return fmt.Errorf("cannot read property %s of a snapshot: %w", fields[1], err)
		}
		if fields[1] == "creation" {
			all[i].Created = time.Unix(value, 0).UTC()
		} else {
			all[i].Used = value
		}
	}
	return nil
}

// RemoveSnapshot destroys a snapshot. KindNotFound if it is missing,
// KindConflict if a dataset was cloned from it or somebody holds it.
func (p *Pool) RemoveSnapshot(ctx context.Context, snapshot string) error {
	if err := checkSnapshot(snapshot); err != nil {
		return err
	}
	err := p.retryBusy(ctx, func() error {
		_, err := p.run.zfs(ctx, "destroy", p.full(snapshot))
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot destroy snapshot: %w", err)
	}
	return nil
}

// RenameSnapshot gives a snapshot of a dataset another name.
func (p *Pool) RenameSnapshot(ctx context.Context, snapshot, to string) error {
	dataset, _, _ := strings.Cut(snapshot, "@")
	renamed := dataset + "@" + to
	for _, name := range []string{snapshot, renamed} {
		if err := checkSnapshot(name); err != nil {
			return err
		}
	}
	if _, err := p.run.zfs(ctx, "rename", p.full(snapshot), p.full(renamed)); err != nil {
		return fmt.Errorf("cannot rename snapshot: %w", err)
	}
	return nil
}

// Rollback makes a dataset what it was at a snapshot. Newer snapshots are
// destroyed; KindConflict if one of them has clones.
func (p *Pool) Rollback(ctx context.Context, snapshot string) error {
	if err := checkSnapshot(snapshot); err != nil {
		return err
	}
	err := p.retryBusy(ctx, func() error {
		_, err := p.run.zfs(ctx, "rollback", "-r", p.full(snapshot))
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot roll back: %w", err)
	}
	return nil
}

// Hold keeps a snapshot from being destroyed until it is released, under a tag
// that tells who holds it. A second hold of one tag is no error.
func (p *Pool) Hold(ctx context.Context, snapshot, tag string) error {
	return p.holdOrRelease(ctx, "hold", snapshot, tag)
}

// Release ends a Hold. One that is not there is no error.
func (p *Pool) Release(ctx context.Context, snapshot, tag string) error {
	return p.holdOrRelease(ctx, "release", snapshot, tag)
}

func (p *Pool) holdOrRelease(ctx context.Context, verb, snapshot, tag string) error {
	if err := checkSnapshot(snapshot); err != nil {
		return err
	}
	if !snapshotRule.MatchString(tag) {
		return model.Errorf(model.KindInvalid, "invalid tag of a hold %.64q", tag)
	}
	_, err := p.run.zfs(ctx, verb, tag, p.full(snapshot))
	if err == nil || strings.Contains(err.Error(), "tag already exists") || strings.Contains(err.Error(), "no such tag") {
		return nil
	}
	return fmt.Errorf("cannot %s snapshot: %w", verb, err)
}

// ClonesOf lists the file systems directly below parent that were cloned from
// a snapshot of the dataset name, by the last part of their names.
func (p *Pool) ClonesOf(ctx context.Context, name, parent string) ([]string, error) {
	origins, err := p.Children(ctx, parent, "origin")
	if err != nil {
		return nil, err
	}
	var clones []string
	for child, origin := range origins {
		if dataset, _, ok := strings.Cut(origin, "@"); ok && dataset == p.full(name) {
			clones = append(clones, path.Base(child))
		}
	}
	slices.Sort(clones)
	return clones, nil
}

// Promote makes a clone the owner of the snapshots up to the one that it was
// cloned from, so that the dataset which it was cloned from can be destroyed.
// KindConflict if the clone has a snapshot of one of their names.
func (p *Pool) Promote(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if _, err := p.run.zfs(ctx, "promote", p.full(name)); err != nil {
		return fmt.Errorf("cannot promote clone: %w", err)
	}
	return nil
}

// Rename gives a dataset another name, below a parent that exists. It must not
// be in use.
func (p *Pool) Rename(ctx context.Context, name, to string) error {
	for _, n := range []string{name, to} {
		if err := checkName(n); err != nil {
			return err
		}
	}
	if _, err := p.run.zfs(ctx, "rename", p.full(name), p.full(to)); err != nil {
		return fmt.Errorf("cannot rename dataset: %w", err)
	}
	return nil
}
