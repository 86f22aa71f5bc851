package dockerapi

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Control changes containers that exist. References and visibility are as with
// Containers.
type Control interface {
	Pause(ctx context.Context, a model.Account, ref string) error
	Unpause(ctx context.Context, a model.Account, ref string) error
	// Update changes limits and, unless restart is nil, the restart policy.
	// change is applied to the limits of this moment; it may run more than
	// once, and its error is the answer. A nil change leaves the limits alone.
	Update(ctx context.Context, a model.Account, ref string, change func(*model.Limits) error, restart *model.RestartPolicy) (warnings []string, err error)
	// Prune removes each container that does not run and that want accepts.
	Prune(ctx context.Context, a model.Account, want func(*model.Container) bool) (removed []string, reclaimed int64, err error)
	// RemoveLink makes a container forget the link of that alias.
	RemoveLink(ctx context.Context, a model.Account, ref, alias string) error
}

// Usage tells what containers use and how they do.
type Usage interface {
	// Stats samples a container once; KindConflict if it does not run.
	Stats(ctx context.Context, a model.Account, ref string) (model.Container, model.Stats, error)
	// Health is the newest that the node knows, or what the state says where
	// the node cannot be asked.
	Health(ctx context.Context, c model.Container) (model.Health, error)
	// Sizes measures containers of the account by id, on all nodes at once.
	// Those of nodes that cannot be asked are left out.
	Sizes(ctx context.Context, a model.Account, ids []string) (map[string]model.ContainerSize, error)
}

// Files reaches the files of containers, running or not.
type Files interface {
	StatPath(ctx context.Context, a model.Account, ref, path string) (model.PathStat, error)
	ReadArchive(ctx context.Context, a model.Account, ref, path string) (wire.Archive, error)
	WriteArchive(ctx context.Context, a model.Account, ref string, r wire.WriteArchiveRequest, tar io.Reader) error
	Export(ctx context.Context, a model.Account, ref string) (io.ReadCloser, error)
	Changes(ctx context.Context, a model.Account, ref string) ([]model.FileChange, error)
	// Commit makes an image of a container and names it, unless name is empty.
	Commit(ctx context.Context, a model.Account, ref string, r CommitRequest) (imageID string, err error)
}

// CommitRequest says what image to make of a container.
type CommitRequest struct {
	Name    string // normalized, with a tag; "" makes an image without a name
	Author  string
	Comment string
	Pause   bool
	// Config is the base of the new image's configuration; nil is that of the
	// container. Changes are Dockerfile instructions applied to it.
	Config  *model.ImageConfig
	Changes []string
}

// ImagePruner removes the account's names of images that no container uses,
// and what nobody names any more.
type ImagePruner interface {
	PruneImages(ctx context.Context, a model.Account, want func(Image) bool) (removed []RemovedImage, reclaimed int64, err error)
}
