package transfers

import (
	"context"
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
}

// What follows the steps that are recorded.
const (
	stepArriving = "arriving"
	stepDone     = "done"
)

// watchEvery is how often a move is looked at for who waits for it.
const watchEvery = 200 * time.Millisecond

// Move has a container moved to a node, by its id, or with "" to one that the
// leader chooses, and returns when it is there, or stays after all: then the
// error says why. Any head may be asked. When ctx ends the move goes on. tell is
// called when something has changed.
func (s *Service) Move(ctx context.Context, id, nodeID string, rate int64, tell func(Progress)) error {
	operation := model.NewID()
	c, ok := s.Store.View().Container(id)
	if !ok {
		return model.Errorf(model.KindNotFound, "No such container: %s", id)
	}
	if _, err := s.Store.Propose(ctx, command.AskTransfer{ID: id, Operation: operation, Node: nodeID, Rate: rate, Time: time.Now().UTC()}); err != nil {
		return err
	}
	total := s.measure(ctx, &c)
	var last Progress
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		now, over, err := s.look(ctx, id, operation)
		if over && err != nil {
			return err
		}
		if now.Total = total; now.Bytes == 0 {
			now.Bytes = last.Bytes
		}
		if now != last {
			tell(now)
		}
		if last = now; over {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look tells how a move stands, and whether it is over.
func (s *Service) look(ctx context.Context, id, operation string) (now Progress, over bool, err error) {
	v := s.Store.View()
	c, ok := v.Container(id)
	switch {
	case !ok:
		return now, true, model.Errorf(model.KindNotFound, "the container was removed while it was moved")
	case c.Transfer != nil && c.Transfer.Operation == operation:
		now.Step, now.Node = string(c.Transfer.Step), nodeName(v, c.Transfer.To)
		now.Bytes = s.come(ctx, &c)
		return now, false, nil
	case c.LastTransfer == nil || c.LastTransfer.Operation != operation:
		return now, true, model.Errorf(model.KindConflict, "the move was given up: the container's node is lost")
	case c.LastTransfer.Failure != "":
		return now, true, model.Errorf(model.KindConflict, "the container stays where it was: %s", c.LastTransfer.Failure)
	case c.Move != nil && c.Move.Fetched:
		return Progress{Step: stepArriving, Node: nodeName(v, c.NodeID)}, false, nil
	}
	return Progress{Step: stepDone, Node: nodeName(v, c.NodeID)}, true, nil
}

func nodeName(v *state.View, id string) string {
	n, _ := v.Node(id)
	return n.Name
}

// come asks the new node how much it has. That is for people: an error is 0.
func (s *Service) come(ctx context.Context, c *model.Container) int64 {
	if c.Transfer.Step != model.TransferCopying && c.Transfer.Step != model.TransferStopping {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	fetched, err := s.Agent(c.Transfer.To).FetchProgress(ctx, c.ID)
	if err != nil {
		return 0
	}
	return fetched.Bytes
}

// measure asks the container's node how much there is. An error is 0.
func (s *Service) measure(ctx context.Context, c *model.Container) (total int64) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	agent := s.Agent(c.NodeID)
	sizes, err := agent.Sizes(ctx, []string{c.ID})
	if err != nil {
		return 0
	}
	total = sizes[c.ID].RW
	return total + s.measureVolumes(ctx, agent, c)
}

func (s *Service) measureVolumes(ctx context.Context, agent wire.Agent, c *model.Container) (total int64) {
	var ids []string
	for _, vol := range s.Store.View().VolumesOf(c) {
		ids = append(ids, vol.ID)
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
