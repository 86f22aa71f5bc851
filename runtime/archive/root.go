package archive

import (
	"context"
	"errors"
	"io"

	"github.com/spearheadcloud/spearhead/model"
)

// Root is the file tree of one container. Its methods may be called at the
// same time; all of them must have ended before Close.
type Root struct {
	fd int
}

// Mount is a tree of the node that a stopped container would see at Target.
type Mount struct {
	Source   string // absolute path on the node; a missing one is left out
	Target   string // in the container; made when missing
	ReadOnly bool
}

// Owner is who gets what is unpacked.
type Owner struct{ UID, GID int }

// WriteOptions say how an archive is unpacked.
type WriteOptions struct {
	// NoOverwriteDirNonDir refuses to replace a directory by something else,
	// and something else by a directory.
	NoOverwriteDirNonDir bool
	// Owner of all that is unpacked; nil keeps the archive's owners.
	Owner *Owner
}

var errUnfinished = errors.New("unfinished")

// OpenRunning opens the root of a running container as its processes see it,
// mounts included. pid is its first process; id, which the names of its
// cgroups hold, proves that pid is still that process. KindConflict if it is
// not.
func OpenRunning(pid int, id string) (*Root, error) { return nil, errUnfinished }

// OpenStopped opens the tree below dir, where the root of a container that
// does not run is mounted, with mounts on top. readOnly refuses to write to
// it, but for the mounts.
func OpenStopped(dir string, mounts []Mount, readOnly bool) (*Root, error) {
	return nil, errUnfinished
}

// Close gives the root back.
func (r *Root) Close() error { return errUnfinished }

// Stat describes a file. The path's last part is not followed if it is a link,
// unless a slash or a dot comes after it.
func (r *Root) Stat(path string) (model.PathStat, error) { return model.PathStat{}, errUnfinished }

// Read describes a file and returns it, or a directory with all that is below
// it, as a tar archive whose names begin with the path's last part. The archive
// is made while it is read; Close ends the work and waits for it.
func (r *Root) Read(ctx context.Context, path string) (model.PathStat, io.ReadCloser, error) {
	return model.PathStat{}, nil, errUnfinished
}

// Export returns the whole tree as a tar archive, without what is mounted in
// it. The archive is made while it is read; Close ends the work and waits for
// it.
func (r *Root) Export(ctx context.Context) (io.ReadCloser, error) { return nil, errUnfinished }

// Write unpacks an archive, plain or compressed with gzip, bzip2, xz or zstd,
// into a directory.
func (r *Root) Write(ctx context.Context, path string, o WriteOptions, archive io.Reader) error {
	return errUnfinished
}
