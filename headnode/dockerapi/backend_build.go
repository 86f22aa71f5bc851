package dockerapi

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Builds is what the API asks of builds.
type Builds interface {
	// Build builds an image. tar is its context, unless r says otherwise; tell
	// is called from one goroutine.
	Build(ctx context.Context, a model.Account, r BuildRequest, tar io.Reader, tell func(BuildStep)) (imageID string, err error)
	// CancelBuild ends the build that was begun with that id.
	CancelBuild(ctx context.Context, a model.Account, id string) error
	// ServeBuilder serves BuildKit's API on a connection, HTTP/2 without TLS,
	// until the client ends it. ready is called before.
	ServeBuilder(ctx context.Context, a model.Account, ready func() (net.Conn, error)) error
	// JoinSession joins a connection on which the client answers BuildKit's
	// questions; meta says which ones.
	JoinSession(ctx context.Context, a model.Account, meta map[string][]string, ready func() (net.Conn, error)) error
	// BuildCache lists what the account's builder keeps.
	BuildCache(ctx context.Context, a model.Account) ([]BuildRecord, error)
	// PruneBuilds removes of it what r selects.
	PruneBuilds(ctx context.Context, a model.Account, r PruneBuildsRequest) (removed []string, reclaimed int64, err error)
}

// BuildRequest is a build as the API decoded it.
type BuildRequest struct {
	ID         string // by which it can be cancelled; "" has none
	Names      []string
	Remote     string // URL of the context; "" is the body
	Session    string // of the client that has the context; "" is none
	Dockerfile string
	Target     string
	Platform   string
	NoCache    bool
	Pull       bool
	Args       map[string]string
	Labels     map[string]string
	CacheFrom  []string
	ExtraHosts []string // name:address
	Network    string   // "", default or none
	ShmSize    int64
	Ulimits    []model.Ulimit
	Auths      map[string]wire.RegistryAuth // by registry
	Outputs    []BuildOutput                // with a session only
}

// BuildOutput is something else to make than an image.
type BuildOutput struct {
	Type  string
	Attrs map[string]string
}

// BuildStep is something to tell of a build. Exactly one part is set.
type BuildStep struct {
	Text  string // in the form of Docker's older builder
	Trace []byte // BuildKit's own, a StatusResponse, for a build with a session
}

// BuildError is a step that failed.
type BuildError struct {
	Code int // of the process, or 0
	Text string
}

// Error implements error.
func (e *BuildError) Error() string { return e.Text }

// BuildRecord is something that a builder keeps.
type BuildRecord struct {
	ID          string
	Parents     []string
	Type        string
	Description string
	InUse       bool
	Shared      bool
	Size        int64
	Created     time.Time
	LastUsed    *time.Time
	UsageCount  int
}

// PruneBuildsRequest says what a builder need not keep.
type PruneBuildsRequest struct {
	All           bool
	Filters       []string // in BuildKit's form
	Unused        time.Duration
	ReservedSpace int64
	MaxUsedSpace  int64
	MinFreeSpace  int64
}
