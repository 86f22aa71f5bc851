package agent

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/internal/treesync"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// The parts of what another node copies as trees of files; see
// wire.Origin.
const (
	partRoot   = "root/"
	partLog    = "log"
	partVolume = "volume/"
)

// offer is what a node may read.
type offer struct {
	task    *task.Task // nil for a volume alone
	volumes []string
	still   bool // nothing changes it
}

// offered finds what the calling node may read, a container or a volume.
func (a *Agent) offered(ctx context.Context, id string) (*offer, error) {
	caller := wire.Caller(ctx)
	if caller != "" && a.offers.node(id) == caller {
		return &offer{volumes: []string{id}, still: true}, nil
	}
	t := a.find(id)
	if t == nil || caller == "" {
		return nil, errNotOffered
	}
	now := t.Snapshot()
	if now.OfferedTo != caller {
		return nil, errNotOffered
	}
	return &offer{task: t, volumes: volumesOf(now.Spec), still: now.Phase == state.PhaseIdle}, nil
}

var errNotOffered = model.Errorf(model.KindForbidden, "it was not offered to the node that asks for it")

// part finds the directory of a part of what goes.
func (a *Agent) part(ctx context.Context, o *offer, part string) (dir string, skip func(string) bool, err error) {
	if volume, ok := strings.CutPrefix(part, partVolume); ok && slices.Contains(o.volumes, volume) {
		dir, err := a.drivers.Volumes.Data(ctx, volume)
		return dir, nil, err
	}
	if o.task != nil {
		return a.ownPart(ctx, o.task, part)
	}
	return "", nil, errNoPart(part)
}

func errNoPart(part string) error {
	return model.Errorf(model.KindInvalid, "nothing that was offered has a part %.80q", part)
}

// ownPart finds the directory of what is a container's own.
func (a *Agent) ownPart(ctx context.Context, t *task.Task, part string) (dir string, skip func(string) bool, err error) {
	if form, ok := strings.CutPrefix(part, partRoot); ok {
		dir, own, err := a.drivers.Images.Tree(ctx, t.ID())
		if err == nil && own != form {
			err = model.Errorf(model.KindConflict, "the two nodes keep containers' files in different ways (%s and %s); choose a node with the same storage", own, form)
		}
		return dir, nil, err
	}
	if part == partLog {
		return a.drivers.Runtime.LogDir(t.ID()), notOfLog, nil
	}
	return "", nil, errNoPart(part)
}

// writtenByOthers reports whether a part is a volume that running containers
// mount: others than the one that brings it may still write to it.
func (a *Agent) writtenByOthers(part string) bool {
	volume, ok := strings.CutPrefix(part, partVolume)
	if !ok {
		return false
	}
	_, running := a.users(volume, "")
	return running > 0
}

// notOfLog tells what in the directory of a log is of its node alone: how the
// container's streams are treated, ends that were not acknowledged, and files
// that are being written.
func notOfLog(name string) bool {
	return name == "settings.json" || strings.HasPrefix(name, "exit-") || strings.HasPrefix(name, ".")
}

// OfferedTree implements wire.Origin.
func (a *Agent) OfferedTree(ctx context.Context, id, part string) (io.ReadCloser, error) {
	o, err := a.offered(ctx, id)
	if err != nil {
		return nil, err
	}
	dir, skip, err := a.part(ctx, o, part)
	if err != nil {
		return nil, err
	}
	how := treesync.Listing{Skip: skip, Still: o.still && !a.writtenByOthers(part)}
	return written(func(w io.Writer) error { return treesync.List(ctx, dir, how, w) }), nil
}

// OfferedFiles implements wire.Origin.
func (a *Agent) OfferedFiles(ctx context.Context, id, part string, wants []treesync.Want) (io.ReadCloser, error) {
	o, err := a.offered(ctx, id)
	if err != nil {
		return nil, err
	}
	dir, _, err := a.part(ctx, o, part)
	if err != nil {
		return nil, err
	}
	return written(func(w io.Writer) error { return treesync.Read(ctx, dir, wants, w) }), nil
}

// OfferedSnapshots implements wire.Origin.
func (a *Agent) OfferedSnapshots(ctx context.Context, id, volume string) ([]string, error) {
	if err := a.offeredVolume(ctx, id, volume); err != nil {
		return nil, err
	}
	return a.drivers.Volumes.Mark(ctx, volume)
}

// OfferedStream implements wire.Origin.
func (a *Agent) OfferedStream(ctx context.Context, id, volume string, r wire.SendVolumeRequest) (io.ReadCloser, error) {
	if err := a.offeredVolume(ctx, id, volume); err != nil {
		return nil, err
	}
	if r.Snapshot == "" {
		return nil, model.Errorf(model.KindInvalid, "a stream has no snapshot")
	}
	return a.drivers.Volumes.Send(ctx, volume, r)
}

func (a *Agent) offeredVolume(ctx context.Context, id, volume string) error {
	o, err := a.offered(ctx, id)
	if err != nil {
		return err
	}
	if !slices.Contains(o.volumes, volume) {
		return model.Errorf(model.KindForbidden, "the container does not mount the volume")
	}
	return nil
}

// written is what write writes, as a stream. Closing it ends write.
func written(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.CloseWithError(write(w))
	}()
	return &writtenStream{r, ended}
}

type writtenStream struct {
	*io.PipeReader
	ended chan struct{}
}

// Close implements io.Closer. It waits until the writer has ended.
func (s *writtenStream) Close() error {
	err := s.PipeReader.Close()
	<-s.ended
	return err
}
