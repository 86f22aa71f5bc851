package peers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/agree"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/internal/requestid"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
)

// Log is this head's part of what the heads agree on. Its errors wrap ErrAgain
// where another head may be asked.
type Log interface {
	// ProposeHere lets the heads agree on an encoded command, if this head
	// leads.
	ProposeHere(ctx context.Context, encoded []byte) (Proposed, error)
	// LeaderIndex is an entry that a head must have applied to know all that
	// was agreed on before the call, if this head leads.
	LeaderIndex(ctx context.Context) (uint64, error)
}

// Members adds and removes heads, if this head leads.
type Members interface {
	// Register makes a head take part, or corrects what is known of it. With
	// forward it is handed on to the head that leads, for one that does not
	// know which that is.
	Register(ctx context.Context, h model.Head, forward bool) error
	// Unregister takes a head out for good.
	Unregister(ctx context.Context, id string) error
}

// Work is what this head has under way.
type Work interface {
	// Reserve decides on a reservation, if this head leads.
	Reserve(ctx context.Context, in containers.Intent) (Reserved, error)
	// Working lists the ids of what this head's requests are creating or
	// updating.
	Working() []string
	// HoldImages lets nothing begin that brings an image to a node, until
	// release. It fails with KindConflict while something of that sort is
	// under way. arriving are the nodes that are being sent archives.
	HoldImages() (arriving []string, release func(), err error)
	// Findings are what reconciliation has found on nodes, if this head leads.
	Findings() (map[string]reconcile.Findings, error)
	// CancelBuild ends a build that this head carries out.
	CancelBuild(ctx context.Context, accountID, id string) error
}

// Hashes tells of the replicated state as this head has it.
type Hashes interface {
	// StateHash is the state's hash as of an entry, once it is known.
	StateHash(ctx context.Context, index uint64) (agree.Answer, error)
}

// Config is what a Handler stands on.
type Config struct {
	Log     Log
	Members Members
	Work    Work
	Hashes  Hashes
	// Removed reports heads that were taken out for good: their certificates
	// live longer.
	Removed func(id string) bool
	Logger  *slog.Logger
}

type server struct{ Config }

// NewHandler returns what serves the other heads. It must stand behind
// pki.Identity.TellingTLS(pki.RoleHead).
func NewHandler(c Config) http.Handler {
	s := &server{c}
	heads := http.NewServeMux()
	heads.HandleFunc("POST "+pathPropose, s.propose)
	heads.HandleFunc("GET "+pathReadIndex, answer(s, func(r *http.Request, _ none) (readIndex, error) {
		index, err := c.Log.LeaderIndex(r.Context())
		return readIndex{index}, err
	}))
	heads.HandleFunc("POST "+pathReserve, answer(s, func(r *http.Request, in containers.Intent) (Reserved, error) {
		return c.Work.Reserve(r.Context(), in)
	}))
	heads.HandleFunc("GET "+pathWorking, answer(s, func(*http.Request, none) (working, error) { return working{c.Work.Working()}, nil }))
	heads.HandleFunc("GET "+pathFindings, answer(s, func(*http.Request, none) (map[string]reconcile.Findings, error) { return c.Work.Findings() }))
	heads.HandleFunc("POST "+pathBuilds, answer(s, func(r *http.Request, b cancelBuild) (none, error) {
		return none{}, c.Work.CancelBuild(r.Context(), b.AccountID, b.ID)
	}))
	heads.HandleFunc("POST "+pathHold, s.hold)
	heads.HandleFunc("PUT "+pathHeads+"{id}", answer(s, s.register))
	heads.HandleFunc("DELETE "+pathHeads+"{id}", answer(s, func(r *http.Request, _ none) (none, error) {
		return none{}, c.Members.Unregister(r.Context(), r.PathValue("id"))
	}))
	heads.HandleFunc("GET "+pathHash, answer(s, s.hash))

	return s.membersOnly(heads)
}

// membersOnly turns away heads that were removed.
func (s *server) membersOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Removed != nil && s.Removed(caller(r)) {
			s.fail(w, r, errRemoved)
			return
		}
		next.ServeHTTP(w, requestid.Received(r))
	})
}

var errRemoved = model.Errorf(model.KindForbidden, "this head was removed from the data center; to take part again it must join under a new id")

// caller is the id of the head that asks.
func caller(r *http.Request) string {
	if r.TLS == nil {
		return ""
	}
	_, id, err := pki.Peer(*r.TLS)
	if err != nil {
		return ""
	}
	return id
}

func (s *server) propose(w http.ResponseWriter, r *http.Request) {
	encoded, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxProposal))
	if err != nil {
		s.fail(w, r, model.WrapError(model.KindInvalid, err, "cannot read the proposal"))
		return
	}
	done, err := s.Log.ProposeHere(r.Context(), encoded)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, done)
}

func (s *server) register(r *http.Request, h model.Head) (none, error) {
	if h.ID != r.PathValue("id") {
		return none{}, model.Errorf(model.KindInvalid, "the head's id is not the one in the address")
	}
	return none{}, s.Members.Register(r.Context(), h, r.URL.Query().Has(forward))
}

func (s *server) hash(r *http.Request, _ none) (agree.Answer, error) {
	index, err := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	if err != nil {
		return agree.Answer{}, model.Errorf(model.KindInvalid, "index is not a number")
	}
	return s.Hashes.StateHash(r.Context(), index)
}

// hold keeps this head's images as they are for as long as the caller keeps
// the connection: if it dies, nothing has to be cleaned up.
func (s *server) hold(w http.ResponseWriter, r *http.Request) {
	arriving, release, err := s.Work.HoldImages()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer release()
	writeJSON(w, http.StatusOK, held{arriving})
	if http.NewResponseController(w).Flush() != nil {
		return
	}
	limit := time.NewTimer(holdLimit)
	defer limit.Stop()
	select {
	case <-r.Context().Done():
	case <-limit.C:
	}
}

// answer makes a handler of a call: its result as JSON, or its error.
func answer[In, Out any](s *server, call func(*http.Request, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := decode(r.Body, maxMessage, &in); err != nil {
			s.fail(w, r, err)
			return
		}
		out, err := call(r, in)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	}
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := failure{ErrorBody: *wire.NewErrorBody(err), Again: errors.Is(err, ErrAgain)}
	if r.Context().Err() == nil && f.Kind == model.KindInternal {
		s.Logger.ErrorContext(r.Context(), "call of another head failed", slog.String("op", r.Method+" "+r.URL.Path),
			slog.String("peer", caller(r)), slog.Any("err", err))
	}
	writeJSON(w, statusOf(f), f)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	encoded, err := json.Marshal(v)
	if err != nil {
		status, encoded = http.StatusInternalServerError, []byte(`{"kind":"internal","text":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(encoded, '\n')) // a reader that is gone does not want it
}
