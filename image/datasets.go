package image

import "context"

// Datasets is a tree of file systems that can be cloned and held to a quota;
// zfs.Pool implements it. Names are slash-divided and relative to the tree,
// snapshots are written "name@snapshot", properties are ZFS's own or user
// properties (with a colon in their names). An existing name is refused with
// model.KindConflict.
type Datasets interface {
	// Create makes a file system and returns its mounted directory.
	Create(ctx context.Context, name string, properties map[string]string) (string, error)
	// Clone makes a file system from a snapshot, with its properties in the
	// same step, and returns its mounted directory.
	Clone(ctx context.Context, snapshot, name string, properties map[string]string) (string, error)
	// Snapshot takes the snapshot "name@snapshot".
	Snapshot(ctx context.Context, snapshot string) error
	// Mount makes sure that a file system is mounted and returns its
	// directory.
	Mount(ctx context.Context, name string) (string, error)
	// Children lists what lies directly below parent, by the last part of its
	// name, with the value of one user property. A missing parent has none.
	Children(ctx context.Context, parent, property string) (map[string]string, error)
	// Used returns the bytes that only this file system holds.
	Used(ctx context.Context, name string) (int64, error)
	// Destroy destroys a file system, its snapshots and all below it. A
	// missing one is no error; one with clones is refused with KindConflict.
	Destroy(ctx context.Context, name string) error
}
