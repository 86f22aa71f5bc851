package agent

import (
	"context"
	"io"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/runtime/archive"
	"github.com/spearheadcloud/spearhead/wire"
)

// files is a container's root while a call uses it.
type files struct {
	use     task.Root
	root    *archive.Root
	ctx     context.Context // ends with the call's, and when the container is removed
	unbind  func() bool
	cancel  context.CancelFunc
	release func()
}

// openFiles opens a container's root as the container sees it; bare leaves out
// what is mounted in there.
func (a *Agent) openFiles(ctx context.Context, id string, bare bool) (*files, error) {
	t, err := a.get(id)
	if err != nil {
		return nil, err
	}
	f := &files{}
	if f.use, f.release, err = t.UseRoot(ctx); err != nil {
		return nil, err
	}
	if f.root, err = openRoot(id, f.use, bare); err != nil {
		f.release()
		return nil, err
	}
	f.ctx, f.cancel = context.WithCancel(ctx)
	f.unbind = context.AfterFunc(f.use.Gone, f.cancel)
	return f, nil
}

func openRoot(id string, use task.Root, bare bool) (*archive.Root, error) {
	if bare {
		return archive.OpenStopped(id, use.Dir, nil, false)
	}
	if use.Pid > 0 {
		r, err := archive.OpenRunning(use.Pid, id)
		if !model.IsKind(err, model.KindConflict) { // else it has ended meanwhile
			return r, err
		}
	}
	mounts := make([]archive.Mount, len(use.Mounts))
	for i, m := range use.Mounts {
		mounts[i] = archive.Mount{Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
	}
	return archive.OpenStopped(id, use.Dir, mounts, use.Spec.ReadonlyRootfs)
}

func (f *files) close() error {
	f.unbind()
	f.cancel()
	err := f.root.Close()
	f.release()
	return err
}

// StatPath implements wire.Agent.
func (a *Agent) StatPath(ctx context.Context, id, path string) (model.PathStat, error) {
	f, err := a.openFiles(ctx, id, false)
	if err != nil {
		return model.PathStat{}, err
	}
	defer f.close()
	return f.root.Stat(path)
}

// ReadArchive implements wire.Agent.
func (a *Agent) ReadArchive(ctx context.Context, id, path string) (wire.Archive, error) {
	f, err := a.openFiles(ctx, id, false)
	if err != nil {
		return wire.Archive{}, err
	}
	stat, body, err := f.root.Read(f.ctx, path)
	if err != nil {
		f.close()
		return wire.Archive{}, err
	}
	a.announce(id, "archive-path")
	return wire.Archive{Stat: stat, ReadCloser: &outgoing{ReadCloser: body, files: f}}, nil
}

// Export implements wire.Agent.
func (a *Agent) Export(ctx context.Context, id string) (io.ReadCloser, error) {
	f, err := a.openFiles(ctx, id, true)
	if err != nil {
		return nil, err
	}
	body, err := f.root.Export(f.ctx)
	if err != nil {
		f.close()
		return nil, err
	}
	return &outgoing{ReadCloser: body, files: f, whole: func() { a.announce(id, "export") }}, nil
}

// outgoing is an archive of a container's files, which are in use until it is
// closed.
type outgoing struct {
	io.ReadCloser
	files *files
	whole func() // called once, when all of it was read; nil is nothing
	close sync.Once
}

// Read implements io.Reader.
func (o *outgoing) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if err == io.EOF && o.whole != nil {
		o.whole()
		o.whole = nil
	}
	return n, err
}

// Close implements io.Closer.
func (o *outgoing) Close() (err error) {
	o.close.Do(func() {
		err = o.ReadCloser.Close()
		o.files.close()
	})
	return err
}

// WriteArchive implements wire.Agent.
func (a *Agent) WriteArchive(ctx context.Context, id string, r wire.WriteArchiveRequest, tar io.Reader) error {
	f, err := a.openFiles(ctx, id, false)
	if err != nil {
		return err
	}
	defer f.close()
	options := archive.WriteOptions{NoOverwriteDirNonDir: r.NoOverwriteDirNonDir}
	if r.CopyUIDGID && f.use.Spec.User != "" {
		if options.Owner, err = owner(f.root, f.use.Spec.User); err != nil {
			return err
		}
	}
	if err := f.root.Write(f.ctx, r.Path, options, tar); err != nil {
		return err
	}
	a.announce(id, "extract-to-dir")
	return nil
}

// owner looks the container's user up in its own files.
func owner(root *archive.Root, user string) (*archive.Owner, error) {
	dir, err := root.Dir()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	uid, gid, err := runtime.UserIDs(dir, user)
	return &archive.Owner{UID: uid, GID: gid}, err
}

// Changes implements wire.Agent.
func (a *Agent) Changes(ctx context.Context, id string) ([]model.FileChange, error) {
	if _, err := a.get(id); err != nil {
		return nil, err
	}
	return a.drivers.Images.Changes(ctx, id)
}

// parallelSizes is how many roots are measured at the same time.
const parallelSizes = 4

// Sizes implements wire.Agent.
func (a *Agent) Sizes(ctx context.Context, ids []string) (map[string]model.ContainerSize, error) {
	var mu sync.Mutex
	sizes := make(map[string]model.ContainerSize, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelSizes)
	for _, id := range ids {
		if a.find(id) == nil {
			continue
		}
		group.Go(func() error {
			size, err := a.drivers.Images.Size(ctx, id)
			if model.IsKind(err, model.KindNotFound) { // removed meanwhile
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			sizes[id] = size
			return nil
		})
	}
	return sizes, group.Wait()
}

// Commit implements wire.Agent.
func (a *Agent) Commit(ctx context.Context, id string, r wire.CommitRequest) (wire.Committed, error) {
	t, err := a.get(id)
	if err != nil {
		return wire.Committed{}, err
	}
	use, release, err := t.UseRoot(ctx)
	if err != nil {
		return wire.Committed{}, err
	}
	defer release()
	bound, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(use.Gone, cancel)()
	var made model.Image
	work := func() (err error) {
		made, err = a.drivers.Images.Commit(bound, id, image.CommitOptions{
			Config: r.Config, CreatedBy: strings.Join(use.Spec.Cmd, " "),
			Author: r.Author, Comment: r.Comment, Created: r.Created,
		})
		return err
	}
	if r.Pause {
		err = a.whilePaused(ctx, id, work)
	} else {
		err = work()
	}
	if err != nil {
		return wire.Committed{}, err
	}
	// Also for a caller who has gone away: the image is there.
	ack, err := t.Tell(context.WithoutCancel(ctx), "commit", "comment", r.Comment, "imageID", made.ID, "imageRef", r.Name)
	return wire.Committed{Image: made, Ack: ack}, err
}
