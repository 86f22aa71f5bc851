package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/metrics"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Store is what the operator's calls need of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
	Leader() (id, address string)
	IsLeader() bool
	AppliedIndex() uint64
	Stats() raftstore.Stats
}

// Config is what a Handler stands on.
type Config struct {
	Store Store
	CA    *pki.CA

	// Identity of this head, for Status.
	Name, ID, DataCenter, Version, DockerHost string

	GossipKeys func() [][]byte
	GossipJoin func() []string
	// Seen tells of a node's last sign of life, Findings of what reconciliation
	// found on nodes, by their ids, and Load what a node gossips.
	Seen     func(nodeID string) (connected bool, last time.Time)
	Findings func(ctx context.Context) map[string]reconcile.Findings
	Load     func(nodeID string) (model.NodeLoad, bool)
	// Twin is the address of another machine that uses a node's identity.
	Twin func(nodeID string) (address string, there bool)
	// Agent is a node's agent.
	Agent func(nodeID string) wire.Agent
	// Explain tells where a container would go, and the best nodes for it.
	Explain func(ctx context.Context, a model.Account, r model.CreateContainer, best int) (placement.Decision, error)
	// RemoveHead takes a head out for good, whichever head leads.
	RemoveHead func(ctx context.Context, id string) error
	// Backup writes all that the data center knows, and Restore puts it back, on
	// the head that leads.
	Backup  func(ctx context.Context, w io.Writer) error
	Restore func(ctx context.Context, r io.Reader) error
	// Rotate gives the gossip ring another key.
	Rotate func(ctx context.Context) (Rotation, error)
	// Volumes does what operators ask of volumes.
	Volumes Volumes
	// Moves moves containers, and PlanMoves shows where those of a node would go.
	Moves     Moves
	PlanMoves func(nodeID string) []containers.PlannedMove
	// Details is all that the head knows of how it works.
	Details func() metrics.Status
	Logger  *slog.Logger
}

// maxBody bounds a request, in bytes.
const maxBody = 1 << 20

type server struct{ Config }

// NewHandler returns the handler of the operator's socket. It asks for no
// identity: who can open the socket is the operator.
func NewHandler(c Config) http.Handler {
	s := &server{c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/ping", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /v1/status", answer(s, s.status))
	mux.HandleFunc("GET /v1/status/details", answer(s, s.details))
	mux.HandleFunc("GET /v1/accounts", answer(s, s.accounts))
	mux.HandleFunc("POST /v1/accounts", answer(s, s.createAccount))
	mux.HandleFunc("DELETE /v1/accounts/{login}", answer(s, s.removeAccount))
	mux.HandleFunc("GET /v1/accounts/{login}/keys", answer(s, s.keys))
	mux.HandleFunc("POST /v1/accounts/{login}/keys", answer(s, s.addKey))
	mux.HandleFunc("DELETE /v1/accounts/{login}/keys/{key}", answer(s, s.removeKey))
	mux.HandleFunc("GET /v1/networks", answer(s, s.networks))
	mux.HandleFunc("PUT /v1/networks", answer(s, s.putNetwork))
	mux.HandleFunc("DELETE /v1/networks/{name}", answer(s, s.removeNetwork))
	mux.HandleFunc("GET /v1/packages", answer(s, s.packages))
	mux.HandleFunc("PUT /v1/packages", answer(s, s.putPackage))
	mux.HandleFunc("PATCH /v1/packages/{name}", answer(s, s.changePackage))
	mux.HandleFunc("DELETE /v1/packages/{name}", answer(s, s.removePackage))
	mux.HandleFunc("GET /v1/accounts/{login}/limits", answer(s, s.limits))
	mux.HandleFunc("PATCH /v1/accounts/{login}/limits", answer(s, s.changeLimits))
	mux.HandleFunc("POST /v1/placement/explain", answer(s, s.explain))
	mux.HandleFunc("GET /v1/nodes", answer(s, s.nodes))
	mux.HandleFunc("POST /v1/nodes", answer(s, s.enrollNode))
	mux.HandleFunc("GET /v1/nodes/{name}", answer(s, s.oneNode))
	mux.HandleFunc("PATCH /v1/nodes/{name}", answer(s, s.changeNode))
	mux.HandleFunc("DELETE /v1/nodes/{name}", answer(s, s.removeNode))
	mux.HandleFunc("GET /v1/nodes/{name}/containers", answer(s, s.containersOnNode))
	mux.HandleFunc("POST /v1/nodes/{name}/drain", answer(s, s.drainNode))
	mux.HandleFunc("POST /v1/nodes/{name}/lost", answer(s, s.loseNode))
	mux.HandleFunc("GET /v1/tokens", answer(s, s.tokens))
	mux.HandleFunc("POST /v1/tokens", answer(s, s.createToken))
	mux.HandleFunc("DELETE /v1/tokens/{id}", answer(s, s.removeToken))
	mux.HandleFunc("GET /v1/heads", answer(s, s.heads))
	mux.HandleFunc("DELETE /v1/heads/{name}", answer(s, s.removeHead))
	mux.HandleFunc("GET /v1/backup", s.backup)
	mux.HandleFunc("POST /v1/capacity", answer(s, s.capacity))
	mux.HandleFunc("POST /v1/gossip/rotate", answer(s, s.rotate))
	mux.HandleFunc("POST /v1/restore", answer(s, s.restore))
	s.volumeRoutes(mux)
	s.moveRoutes(mux)
	s.ruleRoutes(mux)
	s.networkRoutes(mux)
	return mux
}

// answer makes a handler of a call: its result as JSON, or its error.
func answer[T any](s *server, call func(*http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		out, err := call(r)
		if err != nil {
			s.Logger.Warn("operator's request failed", slog.String("op", r.Method+" "+r.URL.Path), slog.Any("err", err))
			w.WriteHeader(statusOf(err))
			_ = json.NewEncoder(w).Encode(errorBody{model.KindOf(err), model.UserText(err)}) // the client may have gone
			return
		}
		_ = json.NewEncoder(w).Encode(out) // the client may have gone
	}
}

// none is the answer of a call that only does something.
type none struct{}

func statusOf(err error) int {
	switch model.KindOf(err) {
	case model.KindInvalid:
		return http.StatusBadRequest
	case model.KindNotFound:
		return http.StatusNotFound
	case model.KindConflict:
		return http.StatusConflict
	case model.KindForbidden:
		return http.StatusForbidden
	case model.KindExhausted:
		return http.StatusInsufficientStorage
	case model.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// decode reads a request's one JSON value; a field that the type lacks is an
// error, for an operator's misspelt field must not be ignored.
func decode[T any](r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, model.Errorf(model.KindInvalid, "cannot read request: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, model.Errorf(model.KindInvalid, "cannot read request: something follows the JSON value")
	}
	return v, nil
}

// values copies what a view points to, so that a list is never null in JSON.
func values[T any](rows []*T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = *r
	}
	return out
}
