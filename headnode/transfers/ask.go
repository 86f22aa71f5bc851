package transfers

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Progress is how far a container's move has come.
type Progress struct {
	Step  string `json:"step"`            // a model.TransferStep, "arriving" or "done"
	Node  string `json:"node,omitempty"`  // the name of the new node, once it is chosen
	Bytes int64  `json:"bytes,omitempty"` // that have come
	Total int64  `json:"total,omitempty"` // that there were to come at first; 0 is not known
	// Along are the names of the containers that move along, with commas.
	Along string `json:"along,omitempty"`
}

// What follows the steps that are recorded.
const (
	stepArriving = "arriving"
	stepDone     = "done"
)

// watchEvery is how often a move is looked at for who waits for it.
const watchEvery = 200 * time.Millisecond

// Move has a container, and all that goes with it, moved to a node, by its id, or
// with "" to one that the leader chooses, and returns when all are there, or stay
// after all: then the error says why. Any head may be asked. When ctx ends the
// move goes on. tell is called when something has changed.
func (s *Service) Move(ctx context.Context, id, nodeID string, rate int64, tell func(Progress)) error {
	asked, err := s.ask(ctx, id, nodeID, rate)
	if err != nil {
		return err
	}
	along := asked.along()
	return watch(ctx, s.measure(ctx, asked.members), func(ctx context.Context) (Progress, bool, error) {
		now, over, err := s.look(ctx, asked)
		now.Along = along
		return now, over, err
	}, tell)
}

// asking is a move that somebody waits for.
type asking struct {
	id, operation string
	members       []model.Container // all that go, as they were when it was asked for
}

// along are the names of those that move along, with commas.
func (a *asking) along() string {
	var names []string
	for _, c := range a.members {
		if c.ID != a.id {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, ", ")
}

// ask has the move begin.
func (s *Service) ask(ctx context.Context, id, nodeID string, rate int64) (*asking, error) {
	a := &asking{id: id, operation: model.NewID()}
	if _, err := s.Store.Propose(ctx, command.AskGroupTransfer{ID: id, Operation: a.operation, Node: nodeID, Rate: rate, Time: time.Now().UTC()}); err != nil {
		return nil, err
	}
	v := s.Store.View()
	if c, ok := v.Container(id); ok {
		a.members = company(v, &c)
	}
	return a, nil
}

// look tells how a move stands, and whether it is over.
func (s *Service) look(ctx context.Context, a *asking) (now Progress, over bool, err error) {
	v := s.Store.View()
	c, ok := v.Container(a.id)
	switch {
	case !ok:
		return now, true, model.Errorf(model.KindNotFound, "the container was removed while it was moved")
	case c.Transfer != nil && c.Transfer.Operation == a.operation:
		now.Step, now.Node = string(c.Transfer.Step), nodeName(v, c.Transfer.To)
		now.Bytes = s.come(ctx, v, &c)
		return now, false, nil
	case c.LastTransfer == nil || c.LastTransfer.Operation != a.operation:
		return now, true, model.Errorf(model.KindConflict, "the move was given up: the container's node is lost")
	case c.LastTransfer.Failure != "":
		return now, true, model.Errorf(model.KindConflict, "the container stays where it was: %s", c.LastTransfer.Failure)
	case slices.ContainsFunc(a.members, func(m model.Container) bool { return arrives(v, m.ID, a.operation) }):
		return Progress{Step: stepArriving, Node: nodeName(v, c.NodeID)}, false, nil
	}
	return Progress{Step: stepDone, Node: nodeName(v, c.NodeID)}, true, nil
}

// arrives reports whether a container is on the last part of a move's way.
func arrives(v *state.View, id, operation string) bool {
	c, ok := v.Container(id)
	return ok && c.Move != nil && c.Move.Fetched && c.LastTransfer != nil && c.LastTransfer.Operation == operation
}

func nodeName(v *state.View, id string) string {
	n, _ := v.Node(id)
	return n.Name
}

// come asks the new node how much it has. That is for people: an error is 0.
func (s *Service) come(ctx context.Context, v *state.View, c *model.Container) (bytes int64) {
	if c.Transfer.Step != model.TransferCopying && c.Transfer.Step != model.TransferStopping {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, member := range company(v, c) {
		if fetched, err := s.Agent(c.Transfer.To).FetchProgress(ctx, member.ID); err == nil {
			bytes += fetched.Bytes
		}
	}
	return bytes
}

// measure asks the containers' node how much there is. An error is 0.
func (s *Service) measure(ctx context.Context, members []model.Container) (total int64) {
	if len(members) == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	agent := s.Agent(members[0].NodeID)
	ids := make([]string, len(members))
	for i := range members {
		ids[i] = members[i].ID
	}
	sizes, err := agent.Sizes(ctx, ids)
	if err != nil {
		return 0
	}
	for _, size := range sizes {
		total += size.RW
	}
	return total + s.measureVolumes(ctx, agent, members)
}

func (s *Service) measureVolumes(ctx context.Context, agent wire.Agent, members []model.Container) (total int64) {
	var ids []string
	for i := range members {
		for _, vol := range s.Store.View().VolumesBrought(&members[i]) {
			ids = append(ids, vol.ID)
		}
	}
	if len(ids) == 0 {
		return 0
	}
	usage, err := agent.VolumeUsage(ctx, ids)
	if err != nil {
		return 0
	}
	for _, u := range usage {
		total += u.Used
	}
	return total
}
