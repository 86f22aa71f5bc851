package adminapi

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Moves is what operators ask of moves of containers and volumes.
type Moves interface {
	Move(ctx context.Context, id, nodeID string, rate int64, tell func(transfers.Progress)) error
	MoveVolume(ctx context.Context, id, nodeID string, rate int64, tell func(transfers.Progress)) error
}

// MoveRequest says what to move, and where.
type MoveRequest struct {
	Container string `json:"container"`      // LOGIN/NAME, or an id or the beginning of one
	Node      string `json:"node,omitempty"` // by name; "" is any
	Rate      int64  `json:"rate,omitempty"` // bytes a second while it runs; 0 is without limit
}

// moveLine is one line of the answer to a MoveRequest or MoveVolumeRequest: the
// last has an error or
// the step "done".
type moveLine struct {
	transfers.Progress
	Error *errorBody `json:"error,omitempty"`
}

// PlannedMove is where a container, or a volume that none mounts, would go.
type PlannedMove struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Account string       `json:"account"`          // login
	Status  model.Status `json:"status,omitempty"` // of a container
	Volume  bool         `json:"volume,omitempty"` // else it is a container
	With    []string     `json:"with,omitempty"`   // ids of the containers that go with it, in one move
	To      string       `json:"to,omitempty"`     // the node's name; "" is that it cannot go
	Reason  string       `json:"reason,omitempty"` // why not
}

func (s *server) moveRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/moves", s.moveContainer)
	mux.HandleFunc("GET /v1/moves", answer(s, s.moves))
	mux.HandleFunc("GET /v1/nodes/{name}/moves", answer(s, s.plannedMoves))
}

// MoveStatus is a container that is being moved.
type MoveStatus struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Account string    `json:"account"` // login
	From    string    `json:"from"`    // names of nodes
	To      string    `json:"to,omitempty"`
	Step    string    `json:"step"`
	Since   time.Time `json:"since"`
}

func (s *server) moves(*http.Request) ([]MoveStatus, error) {
	v, all := s.Store.View(), []MoveStatus{}
	name := func(id string) string {
		n, _ := v.Node(id)
		return n.Name
	}
	add := func(c *model.Container, from, to, step string, since time.Time) {
		account, _ := v.Account(c.AccountID)
		all = append(all, MoveStatus{ID: c.ID, Name: c.Name, Account: account.Login, From: name(from), To: name(to), Step: step, Since: since})
	}
	for _, c := range v.TransferredContainers() {
		add(c, c.NodeID, c.Transfer.To, string(c.Transfer.Step), c.Transfer.Since)
	}
	for _, c := range v.MovingContainers() {
		add(c, c.Move.From, c.NodeID, "arriving", c.Move.Since)
	}
	return all, nil
}

// containerNamed finds the container of any account that a text names.
func containerNamed(v *state.View, text string) (model.Container, error) {
	missing := model.Errorf(model.KindNotFound, "there is no container %s; write LOGIN/NAME, or the beginning of its id", text)
	if login, name, ok := strings.Cut(text, "/"); ok {
		a, known := v.AccountByLogin(login)
		if !known {
			return model.Container{}, model.Errorf(model.KindNotFound, "no account %q", login)
		}
		c, found := v.ContainerByName(a.ID, name)
		if !found {
			return c, missing
		}
		return c, nil
	}
	if !model.IsIDPrefix(text) {
		return model.Container{}, missing
	}
	var hits []*model.Container
	for _, a := range v.Accounts() {
		hits = append(hits, v.ContainersByPrefix(a.ID, text)...)
	}
	switch len(hits) {
	case 0:
		return model.Container{}, missing
	case 1:
		return *hits[0], nil
	}
	return model.Container{}, model.Errorf(model.KindInvalid, "%d containers have ids that begin with %s; write more of it", len(hits), text)
}

// moveContainer moves a container and tells of it line by line.
func (s *server) moveContainer(w http.ResponseWriter, r *http.Request) {
	s.tellMove(w, r, func(tell func(transfers.Progress)) error { return s.move(r, tell) })
}

// tellMove tells of a move line by line.
func (s *server) tellMove(w http.ResponseWriter, r *http.Request, move func(tell func(transfers.Progress)) error) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, control := json.NewEncoder(w), http.NewResponseController(w)
	err := move(func(p transfers.Progress) {
		_ = out.Encode(moveLine{Progress: p}) // the client may have gone: the move goes on
		_ = control.Flush()
	})
	if err != nil {
		s.Logger.Warn("operator's request failed", slog.String("op", r.Method+" "+r.URL.Path), slog.Any("err", err))
		_ = out.Encode(moveLine{Error: &errorBody{model.KindOf(err), model.UserText(err)}})
	}
}

func (s *server) move(r *http.Request, tell func(transfers.Progress)) error {
	in, err := decode[MoveRequest](r)
	if err != nil {
		return err
	}
	if in.Rate < 0 {
		return model.Errorf(model.KindInvalid, "a rate is negative")
	}
	v := s.Store.View()
	c, err := containerNamed(v, in.Container)
	if err != nil {
		return err
	}
	nodeID := ""
	if in.Node != "" {
		n, err := nodeByName(v, in.Node)
		if err != nil {
			return err
		}
		nodeID = n.ID
	}
	return s.Moves.Move(r.Context(), c.ID, nodeID, in.Rate, tell)
}

func nodeByName(v *state.View, name string) (model.Node, error) {
	n, ok := v.NodeByName(name)
	if !ok {
		return n, model.Errorf(model.KindNotFound, "there is no node %s; see spearhead node ls", name)
	}
	return n, nil
}

// plannedMoves shows where all that is on a node would go.
func (s *server) plannedMoves(r *http.Request) ([]PlannedMove, error) {
	n, err := s.nodeNamed(r)
	if err != nil {
		return nil, err
	}
	v := s.Store.View()
	all := []PlannedMove{}
	for _, p := range s.PlanMoves(n.ID) {
		all = append(all, s.planned(v, p))
	}
	for _, vol := range v.VolumesOnNode(n.ID) {
		if vol.Removing || len(v.ContainersOfVolume(vol.ID)) > 0 {
			continue // it goes with its containers
		}
		account, _ := v.Account(vol.AccountID)
		p := PlannedMove{ID: vol.ID, Name: vol.Name, Account: account.Login, Volume: true}
		if p.To, err = s.Volumes.Target(n.ID, vol); err != nil {
			p.Reason = model.UserText(err)
		}
		all = append(all, p)
	}
	return all, nil
}

func (s *server) planned(v *state.View, p containers.PlannedMove) PlannedMove {
	account, _ := v.Account(p.Container.AccountID)
	out := PlannedMove{ID: p.Container.ID, Name: p.Container.Name, Account: account.Login, Status: p.Container.State.Status, With: p.With}
	if p.Reason != nil {
		out.Reason = model.UserText(p.Reason)
	}
	if n, ok := v.Node(p.To); ok {
		out.To = n.Name
	}
	return out
}

// MoveContainer moves a container, and returns when it is on its new node. tell
// is called with each step and with how much has come.
func (c *Client) MoveContainer(ctx context.Context, r MoveRequest, tell func(transfers.Progress)) error {
	return c.followMove(ctx, "/v1/moves", r, "the container was moved; the move goes on, see spearhead container moves", tell)
}

// followMove asks for a move and hears how far it comes. broken says what was
// under way if the head or the command ends meanwhile, and what to do.
func (c *Client) followMove(ctx context.Context, path string, request any, broken string, tell func(transfers.Progress)) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, http.MethodPost, path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	done := false
	for lines.Scan() {
		var line moveLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return model.WrapError(model.KindUnavailable, err, "the head's answer cannot be read; are head and command of the same release?")
		}
		if line.Error != nil {
			return model.Errorf(line.Error.Kind, "%s", line.Error.Text)
		}
		done = line.Step == "done"
		tell(line.Progress)
	}
	if err := lines.Err(); err != nil || !done {
		what := "the head"
		if ctx.Err() != nil {
			what = "the command"
		}
		return model.WrapError(model.KindUnavailable, err, "%s ended while %s", what, broken)
	}
	return nil
}

// ContainerMoves lists the containers that are being moved.
func (c *Client) ContainerMoves(ctx context.Context) ([]MoveStatus, error) {
	return ask[[]MoveStatus](ctx, c, http.MethodGet, "/v1/moves", nil)
}

// PlannedMoves shows where all that is on a node would go, the containers first;
// those that go together follow each other.
func (c *Client) PlannedMoves(ctx context.Context, node string) ([]PlannedMove, error) {
	return ask[[]PlannedMove](ctx, c, http.MethodGet, nodePath(node)+"/moves", nil)
}
