package containers

import (
	"context"
	"log/slog"
	"maps"
	"sync"

	"github.com/spearheadcloud/spearhead/model"
)

// Stats implements dockerapi.Usage.
func (s *Service) Stats(ctx context.Context, a model.Account, ref string) (model.Container, model.Stats, error) {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return model.Container{}, model.Stats{}, err
	}
	defer leave()
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return model.Container{}, model.Stats{}, err
	}
	if !c.State.Status.Running() {
		return c, model.Stats{}, model.Errorf(model.KindConflict, "container %s is not running", c.ID)
	}
	stats, err := s.agents.Agent(c.NodeID).Stats(ctx, c.ID)
	return c, stats, err
}

// Health implements dockerapi.Usage.
func (s *Service) Health(ctx context.Context, c model.Container) (model.Health, error) {
	known := model.Health{}
	if c.State.Health != nil {
		known = *c.State.Health
	}
	if c.Spec.Healthcheck == nil {
		return known, nil
	}
	leave, err := s.requests.enter(c.AccountID)
	if err != nil {
		return known, err
	}
	defer leave()
	health, err := s.agents.Agent(c.NodeID).Health(ctx, c.ID)
	if model.IsKind(err, model.KindUnavailable) || model.IsKind(err, model.KindNotFound) {
		return known, nil
	}
	return health, err
}

// Sizes implements dockerapi.Usage.
func (s *Service) Sizes(ctx context.Context, a model.Account, ids []string) (map[string]model.ContainerSize, error) {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	byNode := map[string][]string{}
	v := s.store.View()
	for _, id := range ids {
		if c, ok := v.Container(id); ok && c.AccountID == a.ID {
			byNode[c.NodeID] = append(byNode[c.NodeID], id)
		}
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	sizes := map[string]model.ContainerSize{}
	for nodeID, ids := range byNode {
		asking.Go(func() {
			some, err := s.agents.Agent(nodeID).Sizes(ctx, ids)
			if err != nil {
				s.log.Debug("cannot measure containers", slog.String("node", nodeID), slog.Any("err", err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(sizes, some)
		})
	}
	asking.Wait()
	return sizes, ctx.Err()
}
