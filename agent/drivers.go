package agent

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/names"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
)

// Runtime is what the agent asks of package runtime.
type Runtime interface {
	task.Runtime
	Exits(ctx context.Context) (<-chan runtime.Exit, error)
	Running(ctx context.Context) ([]runtime.Process, error)
	Attach(ctx context.Context, id string, o runtime.AttachOptions) (runtime.Stream, error)
	Resize(ctx context.Context, id string, rows, cols uint16) error
	Logs(ctx context.Context, id string, o runtime.LogOptions) (io.ReadCloser, error)
	Top(ctx context.Context, id, psArgs string) (titles []string, rows [][]string, err error)
	ExecStart(ctx context.Context, container string, spec runtime.ExecSpec) (runtime.Stream, error)
	ExecResize(ctx context.Context, exec string, rows, cols uint16) error
	ExecState(ctx context.Context, exec string) (runtime.ExecState, error)
	ExecWait(ctx context.Context, exec string) (runtime.ExecState, error)
	Stats(ctx context.Context, id string) (model.Stats, error)
}

// Images is what the agent asks of package image.
type Images interface {
	task.Images
	Registries
	ImageArchives
	Pull(ctx context.Context, r image.PullRequest, progress func(image.Progress)) (model.Image, string, bool, error)
	Copy(ctx context.Context, r image.CopyRequest, progress func(image.Progress)) (img model.Image, isNew bool, err error)
	Blob(ctx context.Context, digest string, offset int64) (size int64, r io.ReadCloser, err error)
	List(ctx context.Context) ([]string, error)
	Remove(ctx context.Context, image string) error
	CollectGarbage(ctx context.Context) error
	ForgetInterrupted(ctx context.Context) error
	Shed(ctx context.Context, imageID string, peers []image.Peer) (freed int64, err error)
	Roots(ctx context.Context) ([]string, error)
	Tree(ctx context.Context, container string) (dir, form string, err error)
	Size(ctx context.Context, container string) (model.ContainerSize, error)
	Changes(ctx context.Context, container string) ([]model.FileChange, error)
	Commit(ctx context.Context, container string, o image.CommitOptions) (model.Image, error)
}

// Network is what the agent asks of package network.
type Network interface {
	task.Network
	Sandboxes(ctx context.Context) ([]string, error)
	// SetNetworks has the kernel, the firewalls and the resolvers act by what
	// heads told, as far as the node's containers have to do with it.
	SetNetworks(ctx context.Context, s model.NetworkState) error
	// Names tells what the resolvers of containers do.
	Names(ctx context.Context) (names.Stats, error)
}

// Volumes is what the agent asks of package volumes.
type Volumes interface {
	task.Volumes
	Remove(ctx context.Context, id string) error
	List(ctx context.Context) ([]string, error)
	Usage(ctx context.Context, id string) (model.VolumeUsage, error)
	Resize(ctx context.Context, id string, size int64) error
	Snapshot(ctx context.Context, id, name string) error
	Snapshots(ctx context.Context, id string) ([]model.VolumeSnapshot, error)
	RemoveSnapshot(ctx context.Context, id, name string) error
	Restore(ctx context.Context, id, name string) error
	Clone(ctx context.Context, id string, r wire.CloneVolumeRequest) error
	Send(ctx context.Context, id string, r wire.SendVolumeRequest) (io.ReadCloser, error)
	Receive(ctx context.Context, id string, r wire.ReceiveVolumeRequest, stream io.Reader) error
	Exposed() ([]string, error)
	Data(ctx context.Context, id string) (dir string, err error)
	Mark(ctx context.Context, id string) (snapshots []string, err error)
	Marks(ctx context.Context, id string) (snapshots []string, err error)
	ReceiveStep(ctx context.Context, id string, r wire.ReceiveVolumeRequest, stream io.Reader) error
	Unmark(ctx context.Context, id string) error
	Partial(ctx context.Context, id string) (token string, err error)
	DropPartial(ctx context.Context, id string) error
}

// Gossip is where the agent tells how full its machine is.
type Gossip interface {
	SetLoad(l model.NodeLoad)
}

// PeerClient calls another node.
type PeerClient interface {
	wire.Peer
	wire.Origin
	Close()
}

// Drivers are the parts of a node that an agent joins.
type Drivers struct {
	Runtime Runtime
	Images  Images
	Network Network
	Volumes Volumes
}
