package containers

import (
	"context"

	"github.com/spearheadcloud/spearhead/headnode/policy"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// An exec's id begins with the first digits of its node's id, so that every
// head finds it and none has to remember it.
const execNodeDigits = 16

// CreateExec implements dockerapi.Execs.
func (s *Service) CreateExec(ctx context.Context, a model.Account, ref string, spec wire.ExecSpec) (string, error) {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return "", err
	}
	defer leave()
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return "", err
	}
	if err := policy.Refuse(policy.CheckExec(a, spec.Privileged)); err != nil {
		return "", err
	}
	switch c.State.Status {
	case model.StatusRunning:
	case model.StatusPaused:
		return "", model.Errorf(model.KindConflict, "container %s is paused, unpause the container before exec", c.ID)
	default:
		return "", model.Errorf(model.KindConflict, "container %s is not running", c.ID)
	}
	spec.ID = c.NodeID[:execNodeDigits] + model.NewID()[execNodeDigits:]
	return spec.ID, s.agents.Agent(c.NodeID).ExecCreate(ctx, c.ID, spec)
}

// StartExec implements dockerapi.Execs. The terminal has the size that was
// asked for last.
func (s *Service) StartExec(ctx context.Context, a model.Account, id string, r wire.ExecStartRequest) (wire.Stream, error) {
	agent, exec, err := s.findExec(ctx, a, id)
	if err != nil {
		return nil, err
	}
	if r.Size == nil {
		r.Size = exec.Spec.ConsoleSize
	}
	return s.stream(a, func() (wire.Stream, error) { return agent.ExecStart(ctx, id, r) })
}

// ResizeExec implements dockerapi.Execs.
func (s *Service) ResizeExec(ctx context.Context, a model.Account, id string, size wire.TerminalSize) error {
	agent, _, err := s.findExec(ctx, a, id)
	if err != nil {
		return err
	}
	return agent.ExecResize(ctx, id, size)
}

// InspectExec implements dockerapi.Execs.
func (s *Service) InspectExec(ctx context.Context, a model.Account, id string) (wire.ExecState, error) {
	_, state, err := s.findExec(ctx, a, id)
	return state, err
}

// findExec asks the node that the id names, and checks that the exec's
// container is the account's: a guessed id of another's exec is not there.
func (s *Service) findExec(ctx context.Context, a model.Account, id string) (wire.Agent, wire.ExecState, error) {
	missing := model.Errorf(model.KindNotFound, "No such exec instance: %s", id)
	if !model.IsID(id) {
		return nil, wire.ExecState{}, missing
	}
	v := s.store.View()
	for _, n := range v.Nodes() {
		if n.ID[:execNodeDigits] != id[:execNodeDigits] {
			continue
		}
		agent := s.agents.Agent(n.ID)
		state, err := agent.ExecInspect(ctx, id)
		if model.IsKind(err, model.KindNotFound) {
			continue
		}
		if err != nil {
			return nil, wire.ExecState{}, err
		}
		if c, ok := v.Container(state.ContainerID); ok && c.AccountID == a.ID {
			return agent, state, nil
		}
	}
	return nil, wire.ExecState{}, missing
}
