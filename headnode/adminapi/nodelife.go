package adminapi

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// LossRequest says that a node does not come back.
type LossRequest struct {
	// Force says so of a node that gives signs of life.
	Force bool `json:"force,omitempty"`
}

// DrainRequest says how a node is to be emptied.
type DrainRequest struct {
	// Stop stops what runs there, each with that many seconds before it is
	// killed; a negative number is each container's own.
	Stop    bool `json:"stop,omitempty"`
	Timeout int  `json:"timeout,omitempty"`
}

// NodeContainer is a container on a node, for an operator.
type NodeContainer struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Account string       `json:"account"` // login
	Status  model.Status `json:"status"`
	Moves   bool         `json:"moves"` // its owner asked to have it started elsewhere if the node is lost
	Error   string       `json:"error,omitempty"`
}

// nodeNamed finds the node that a path names, by name, id or the beginning of
// an id.
func (s *server) nodeNamed(r *http.Request) (model.Node, error) {
	name := r.PathValue("name")
	v := s.Store.View()
	if n, ok := v.NodeByName(name); ok {
		return n, nil
	}
	var found []*model.Node
	for _, n := range v.Nodes() {
		if name != "" && strings.HasPrefix(n.ID, name) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 1:
		return *found[0], nil
	case 0:
		return model.Node{}, model.Errorf(model.KindNotFound, "there is no node %s; see spearhead node ls", name)
	}
	return model.Node{}, model.Errorf(model.KindInvalid, "%d nodes have ids that begin with %s; write more of it", len(found), name)
}

func (s *server) oneNode(r *http.Request) (NodeStatus, error) {
	n, err := s.nodeNamed(r)
	if err != nil {
		return NodeStatus{}, err
	}
	return s.statusOfNode(s.Store.View(), &n, s.Findings(r.Context())[n.ID]), nil
}

func (s *server) changeNode(r *http.Request) (none, error) {
	n, err := s.nodeNamed(r)
	if err != nil {
		return none{}, err
	}
	change, err := decode[model.NodeChange](r)
	if err != nil {
		return none{}, err
	}
	if err := checkChange(change); err != nil {
		return none{}, err
	}
	if change.Owners != nil {
		owners, err := s.ownerIDs(*change.Owners)
		if err != nil {
			return none{}, err
		}
		change.Owners = &owners
	}
	_, err = s.Store.Propose(r.Context(), command.ChangeNode{ID: n.ID, Change: change})
	return none{}, err
}

// maxText bounds labels and the like, in bytes.
const maxText = 256

func checkChange(c model.NodeChange) error {
	texts := slices.Clone(c.DropLabels)
	for name, value := range c.SetLabels {
		texts = append(texts, name, value)
		if name == "" {
			return model.Errorf(model.KindInvalid, "a label has no name")
		}
	}
	for _, place := range []*string{c.Rack, c.Zone} {
		if place != nil {
			texts = append(texts, *place)
		}
	}
	if c.Traits != nil {
		for _, trait := range *c.Traits {
			if err := model.CheckTrait(trait); err != nil {
				return err
			}
		}
	}
	for _, text := range texts {
		if len(text) > maxText {
			return model.Errorf(model.KindInvalid, "%.20q… is longer than %d bytes", text, maxText)
		}
	}
	if c.Address != nil {
		if host, _, err := net.SplitHostPort(*c.Address); err != nil || host == "" {
			return model.Errorf(model.KindInvalid, "invalid node address %q: use host:port", *c.Address)
		}
	}
	return nil
}

func (s *server) containersOnNode(r *http.Request) ([]NodeContainer, error) {
	n, err := s.nodeNamed(r)
	if err != nil {
		return nil, err
	}
	return left(s.Store.View(), n.ID), nil
}

// left lists what is on a node, running ones first.
func left(v *state.View, nodeID string) []NodeContainer {
	out := []NodeContainer{}
	for _, c := range v.ContainersOnNode(nodeID) {
		account, _ := v.Account(c.AccountID)
		out = append(out, NodeContainer{ID: c.ID, Name: c.Name, Account: account.Login, Status: c.State.Status, Moves: c.Spec.Reschedules()})
	}
	slices.SortStableFunc(out, func(a, b NodeContainer) int {
		switch {
		case a.Status.Running() == b.Status.Running():
			return strings.Compare(a.Account+"/"+a.Name, b.Account+"/"+b.Name)
		case a.Status.Running():
			return -1
		}
		return 1
	})
	return out
}

// stopsAtOnce is how many containers of a node are stopped at the same time.
const stopsAtOnce = 16

// drainNode cordons a node and, if asked to, stops what runs there. The
// containers stay where they are.
func (s *server) drainNode(r *http.Request) ([]NodeContainer, error) {
	n, err := s.nodeNamed(r)
	if err != nil {
		return nil, err
	}
	in, err := decode[DrainRequest](r)
	if err != nil {
		return nil, err
	}
	yes := true
	if _, err := s.Store.Propose(r.Context(), command.ChangeNode{ID: n.ID, Change: model.NodeChange{Cordoned: &yes}}); err != nil {
		return nil, err
	}
	on := left(s.Store.View(), n.ID)
	if in.Stop {
		s.stopAll(r.Context(), n.ID, on, in.Timeout)
	}
	return on, nil
}

func (s *server) stopAll(ctx context.Context, nodeID string, on []NodeContainer, timeout int) {
	request := wire.StopRequest{}
	if timeout >= 0 {
		request.Timeout = &timeout
	}
	places := make(chan struct{}, stopsAtOnce)
	var stopping sync.WaitGroup
	for i := range on {
		c := &on[i]
		if !c.Status.Running() && c.Status != model.StatusRestarting {
			continue
		}
		places <- struct{}{}
		stopping.Go(func() {
			defer func() { <-places }()
			_, err := s.Agent(nodeID).Stop(ctx, c.ID, request)
			switch {
			case err == nil || model.IsKind(err, model.KindNotModified):
				c.Status = model.StatusExited
			default:
				c.Error = model.UserText(err)
			}
		})
	}
	stopping.Wait()
}

// loseNode takes the operator's word that a node does not come back. The
// leader does what follows from it.
func (s *server) loseNode(r *http.Request) ([]NodeContainer, error) {
	n, err := s.nodeNamed(r)
	if err != nil {
		return nil, err
	}
	in, err := decode[LossRequest](r)
	if err != nil {
		return nil, err
	}
	if connected, _ := s.Seen(n.ID); connected && !in.Force {
		return nil, model.Errorf(model.KindConflict, "node %s gives signs of life: what runs there would be started a second time elsewhere. Cordon or drain it; or switch it off first, or say --force if you know better", n.Name)
	}
	yes := true
	_, err = s.Store.Propose(r.Context(), command.ChangeNode{ID: n.ID, Change: model.NodeChange{Lost: &yes, Cordoned: &yes}})
	return left(s.Store.View(), n.ID), err
}

// removeNode takes a node out. With force a lost one is taken out together
// with all that is still known of its containers.
func (s *server) removeNode(r *http.Request) (none, error) {
	n, err := s.nodeNamed(r)
	if err != nil {
		return none{}, err
	}
	if r.URL.Query().Get("force") == "true" {
		if err := s.forgetAll(r.Context(), n); err != nil {
			return none{}, err
		}
	}
	_, err = s.Store.Propose(r.Context(), command.RemoveNode{ID: n.ID})
	return none{}, err
}

// forgottenReason is what events tell of the end of such containers.
const forgottenReason = "the container's node was removed from the data center"

func (s *server) forgetAll(ctx context.Context, n model.Node) error {
	if !n.Lost {
		return model.Errorf(model.KindConflict, "node %s is not lost: remove its containers, or say that it does not come back with: spearhead node lost %s", n.Name, n.Name)
	}
	now := time.Now().UTC()
	for _, c := range s.Store.View().ContainersOnNode(n.ID) {
		steps := []command.Command{
			command.LoseContainer{ID: c.ID, Reason: forgottenReason, Time: now}, command.ForgetContainer{ID: c.ID, Time: now},
		}
		if c.Phase == model.PhaseReserved {
			steps = []command.Command{command.ReleaseContainer{ID: c.ID, Reason: forgottenReason}}
		}
		for _, step := range steps {
			if _, err := s.Store.Propose(ctx, step); err != nil {
				return err
			}
		}
	}
	return nil
}

// Node shows one node, by name or by the beginning of its id.
func (c *Client) Node(ctx context.Context, name string) (NodeStatus, error) {
	return ask[NodeStatus](ctx, c, http.MethodGet, nodePath(name), nil)
}

// ChangeNode changes what is set in the change.
func (c *Client) ChangeNode(ctx context.Context, name string, change model.NodeChange) error {
	return c.call(ctx, http.MethodPatch, nodePath(name), change, nil)
}

// ContainersOnNode lists the containers that are on a node.
func (c *Client) ContainersOnNode(ctx context.Context, name string) ([]NodeContainer, error) {
	return ask[[]NodeContainer](ctx, c, http.MethodGet, nodePath(name)+"/containers", nil)
}

// DrainNode lets nothing new onto a node and tells what is on it.
func (c *Client) DrainNode(ctx context.Context, name string, r DrainRequest) ([]NodeContainer, error) {
	return ask[[]NodeContainer](ctx, c, http.MethodPost, nodePath(name)+"/drain", r)
}

// LoseNode says that a node does not come back, and tells what was on it.
// KindConflict if it gives signs of life.
func (c *Client) LoseNode(ctx context.Context, name string, r LossRequest) ([]NodeContainer, error) {
	return ask[[]NodeContainer](ctx, c, http.MethodPost, nodePath(name)+"/lost", r)
}

// RemoveNode takes a node out for good; its certificate is refused from then
// on. KindConflict while it has containers, unless it is lost and force is
// set, which forgets them.
func (c *Client) RemoveNode(ctx context.Context, name string, force bool) error {
	path := nodePath(name)
	if force {
		path += "?force=true"
	}
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

func nodePath(name string) string { return "/v1/nodes/" + url.PathEscape(name) }
