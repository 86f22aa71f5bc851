package task

import (
	"context"
	"log/slog"
	"syscall"

	"github.com/spearheadcloud/spearhead/agent/health"
	"github.com/spearheadcloud/spearhead/agent/logship"
	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
)

// Runtime makes processes of containers. All its methods may be repeated.
type Runtime interface {
	Register(ctx context.Context, id string, spec *model.ContainerSpec) error
	Start(ctx context.Context, r runtime.StartRequest) (runtime.Process, error)
	Signal(ctx context.Context, id string, sig syscall.Signal) error
	Pause(ctx context.Context, id string) error
	Unpause(ctx context.Context, id string) error
	Update(ctx context.Context, id string, l *model.Limits) error
	Probe(ctx context.Context, id string, args []string) (exitCode int, output []byte, err error)
	AckExit(ctx context.Context, id, run string) error
	Clean(ctx context.Context, id string) error
	Unregister(ctx context.Context, id string) error
	LogDir(id string) string
}

// Images makes root file systems. All its methods may be repeated.
type Images interface {
	PrepareRoot(ctx context.Context, container, image string, quota int64) error
	MountRoot(ctx context.Context, container string) (string, error)
	UnmountRoot(ctx context.Context, container string) error
	RemoveRoot(ctx context.Context, container string) error
}

// Network makes network namespaces. All its methods may be repeated.
type Network interface {
	Attach(ctx context.Context, a network.Attachment) (netns string, err error)
	Detach(ctx context.Context, container string) error
}

// Volumes keeps file trees that outlive containers. All its methods may be
// repeated; package agent/volumes says what they do.
type Volumes interface {
	Create(ctx context.Context, v wire.VolumeRef) error
	Fill(ctx context.Context, id, rootDir, target string, alone bool) error
	Expose(ctx context.Context, container string, mounts []model.Mount) (map[int]string, error)
	Conceal(container string) error
}

// Shipper sends containers' logs to where their log drivers say.
type Shipper interface {
	Begin(c logship.Container) error
	End(ctx context.Context, id string)
	Forget(id string)
}

// Records keeps records and journal; state.DB does.
type Records interface {
	Commit(ctx context.Context, c state.Change) (wire.Ack, error)
	Place() wire.Ack
}

// Node is what all tasks of a node share.
type Node struct {
	Runtime Runtime
	Images  Images
	Network Network
	Volumes Volumes
	// Mounted reports whether another container of the node mounts a volume.
	Mounted func(volume, except string) bool
	Records Records
	Shipper Shipper
	// Dir is where the files lie that containers see as /etc/hosts and so on;
	// they are written at every start and need not survive a reboot.
	Dir string
	// Pid returns the first process of a running container of this node, for
	// those that share its namespaces, or KindConflict if it does not run.
	Pid func(container string) (int, error)
	// May returns nil if a container may be started now, and else why not; nil
	// always lets it.
	May func(spec *model.ContainerSpec) error
	// Probes bounds how many health checks begin at the same time on the node.
	Probes health.Limit
	// Changed is called when a run has begun or ended, and Gone when the
	// container is no more, each from the container's goroutine.
	Changed func()
	Gone    func(t *Task)
	Logger  *slog.Logger
}
