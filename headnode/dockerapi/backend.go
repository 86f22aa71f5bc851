package dockerapi

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Authenticator finds out who asks.
type Authenticator interface {
	// Authenticate returns the account that the request's client certificate
	// proves, checked against the account's keys of this moment, or an error
	// of model.KindUnauthenticated or model.KindForbidden.
	Authenticate(r *http.Request) (model.Account, error)
}

// Containers is what the API asks of containers. ref is an id, a name or a
// unique prefix of an id; what belongs to another account is not found. Each
// method that changes something returns when this head can see the change.
type Containers interface {
	Create(ctx context.Context, a model.Account, r model.CreateContainer) (model.Container, []string, error)
	// Get finds one container.
	Get(ctx context.Context, a model.Account, ref string) (model.Container, error)
	// List returns all containers of the account, newest first, and a number
	// that changes whenever the answer would. Callers must not change them, and
	// nobody does: a container that has changed is another one in the next list.
	List(ctx context.Context, a model.Account) ([]*model.Container, uint64, error)
	Start(ctx context.Context, a model.Account, ref string) error
	Stop(ctx context.Context, a model.Account, ref string, r wire.StopRequest) error
	Restart(ctx context.Context, a model.Account, ref string, r wire.StopRequest) error
	Kill(ctx context.Context, a model.Account, ref string, r wire.KillRequest) error
	Remove(ctx context.Context, a model.Account, ref string, r wire.RemoveRequest) error
	Rename(ctx context.Context, a model.Account, ref, name string) error
	// Wait resolves ref at once, calls registered, and then blocks until the
	// condition holds.
	Wait(ctx context.Context, a model.Account, ref string, c WaitCondition, registered func()) (WaitResult, error)
	Resize(ctx context.Context, a model.Account, ref string, s wire.TerminalSize) error
	Top(ctx context.Context, a model.Account, ref, psArgs string) (wire.Processes, error)
	Attach(ctx context.Context, a model.Account, ref string, r wire.AttachRequest) (wire.Stream, error)
	Logs(ctx context.Context, a model.Account, ref string, r wire.LogsRequest) (io.ReadCloser, error)
}

// WaitCondition is what a wait waits for.
type WaitCondition string

// The conditions of POST /containers/{id}/wait.
const (
	WaitNotRunning WaitCondition = "not-running"
	WaitNextExit   WaitCondition = "next-exit"
	WaitRemoved    WaitCondition = "removed"
)

// WaitResult is how a container ended.
type WaitResult struct {
	ExitCode int
	Error    string
}

// Execs is what the API asks of processes added to running containers.
type Execs interface {
	CreateExec(ctx context.Context, a model.Account, ref string, s wire.ExecSpec) (id string, err error)
	StartExec(ctx context.Context, a model.Account, id string, r wire.ExecStartRequest) (wire.Stream, error)
	ResizeExec(ctx context.Context, a model.Account, id string, s wire.TerminalSize) error
	InspectExec(ctx context.Context, a model.Account, id string) (wire.ExecState, error)
}

// Images is what the API asks of images. ref is a name as a user writes it, a
// digest reference, or an id or a unique prefix of one.
type Images interface {
	// Pull resolves and fetches; progress is called from one goroutine.
	Pull(ctx context.Context, a model.Account, r PullRequest, progress func(wire.PullProgress)) (PullResult, error)
	Get(ctx context.Context, a model.Account, ref string) (Image, error)
	List(ctx context.Context, a model.Account) ([]Image, error)
	Tag(ctx context.Context, a model.Account, ref, repo, tag string) error
	// Remove untags ref and, when no name is left, deletes the image.
	Remove(ctx context.Context, a model.Account, ref string, force bool) (RemovedImage, error)
}

// PullRequest is a pull as the API decoded it. Ref has a tag or digest.
type PullRequest struct {
	Ref      string
	Platform string
	Auth     wire.RegistryAuth
}

// PullResult is what a pull ended with.
type PullResult struct {
	Digest string
	New    bool // false when the name pointed to the same image before
}

// Image is an image with the names that the asking account has for it.
type Image struct {
	model.Image
	Names      []model.ImageName
	Containers int // of this account that use it
}

// RemovedImage lists what a removal did.
type RemovedImage struct {
	Untagged []string
	Deleted  []string
}

// System is what the API asks of the data center as a whole.
type System interface {
	// Info sums up the data center as the account sees it.
	Info(ctx context.Context, a model.Account) (SystemInfo, error)
	// Network finds a network by id, for the names in container inspect.
	Network(ctx context.Context, id string) (model.Network, error)
	// Place finds a node by id.
	Place(ctx context.Context, nodeID string) (Place, bool)
	// CA returns the certificate that clients verify the endpoint with, PEM.
	CA() []byte
	// Events calls send for each event of the account, in order, first those
	// recorded between since and now (zero since: none), then, unless until
	// has passed, those to come until until (zero: for ever) or ctx ends.
	Events(ctx context.Context, a model.Account, since, until time.Time, send func(model.Event) error) error
}

// SystemInfo is what docker info needs.
type SystemInfo struct {
	ID         string // of the data center
	Name       string
	Version    string // of Spearhead
	Nodes      []model.Node
	Places     []Place              // nodes that the account may use, with what it has there
	Containers map[model.Status]int // of the account
	Images     int
	Warnings   []string
	Heads      int
	Leader     string
}
