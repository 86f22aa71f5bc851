package volumes

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Store is what the use cases need of the replicated store.
type Store interface {
	Propose(ctx context.Context, c command.Command) (raftstore.Result, error)
	View() *state.View
	Wait(ctx context.Context, cond func(*state.View) (bool, error)) error
}

// Agents are the nodes as this head sees them. Agent never returns nil: calls
// to a node that cannot be reached fail with KindUnavailable.
type Agents interface {
	Agent(nodeID string) wire.Agent
	Connected(nodeID string) bool
}

// Config is what a Service stands on.
type Config struct {
	Store  Store
	Agents Agents
	Logger *slog.Logger
}

// Service does what is asked of volumes. It implements dockerapi.Volumes, for
// any number of goroutines.
type Service struct {
	store  Store
	agents Agents
	log    *slog.Logger
}

var _ dockerapi.Volumes = (*Service)(nil)

// New returns a Service.
func New(c Config) *Service {
	return &Service{store: c.Store, agents: c.Agents, log: c.Logger}
}

// Bounds of what a volume carries for its owner.
const (
	maxLabels = 256
	maxLabel  = 4 << 10
)

// CreateVolume implements dockerapi.Volumes.
func (s *Service) CreateVolume(ctx context.Context, a model.Account, v model.Volume) (model.Volume, error) {
	if err := checkLabels(v.Labels); err != nil {
		return v, err
	}
	if v.Name == "" {
		v.Name, v.Labels = model.NewID(), maps.Clone(v.Labels)
		if v.Labels == nil {
			v.Labels = map[string]string{}
		}
		v.Labels[model.LabelAnonymous] = ""
	}
	v.ID, v.AccountID, v.Created = model.NewID()[:32], a.ID, time.Now().UTC()
	if old, ok := s.store.View().VolumeByName(a.ID, v.Name); ok {
		return same(old, v)
	}
	asked := v
	if v.Size == 0 {
		v.Size = s.store.View().DefaultVolumeSize()
	}
	if v.Size > 0 && !s.sized() {
		return v, model.Errorf(model.KindInvalid, "create %s: invalid option: \"size\": no node of the data center can hold a volume to a size; leave it out, or ask the operator for nodes with ZFS", v.Name)
	}
	_, err := s.store.Propose(ctx, command.CreateVolume{Volume: v})
	if model.IsKind(err, model.KindConflict) {
		if old, ok := s.store.View().VolumeByName(a.ID, v.Name); ok {
			return same(old, asked)
		}
	}
	return v, err
}

// same returns the volume that is there, if it is as was asked for. As with
// Docker, labels do not count.
func same(old, asked model.Volume) (model.Volume, error) {
	if asked.Size != 0 && asked.Size != old.Size {
		return old, model.Errorf(model.KindConflict, "a volume named %s already exists with another size; choose another name, or leave the size out", old.Name)
	}
	return old, nil
}

// sized reports whether some node can hold volumes to a size.
func (s *Service) sized() bool {
	return slices.ContainsFunc(s.store.View().Nodes(), func(n *model.Node) bool { return n.Info.VolumeQuota })
}

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return model.Errorf(model.KindInvalid, "Labels has %d entries, more than the %d allowed", len(labels), maxLabels)
	}
	for k, v := range labels {
		if len(k)+len(v) > maxLabel {
			return model.Errorf(model.KindInvalid, "a label in Labels is longer than the %d bytes allowed", maxLabel)
		}
	}
	return nil
}

// Volume implements dockerapi.Volumes.
func (s *Service) Volume(_ context.Context, a model.Account, name string) (dockerapi.Volume, error) {
	v := s.store.View()
	vol, ok := v.VolumeByName(a.ID, name)
	if !ok {
		return dockerapi.Volume{}, noSuchVolume(name)
	}
	return dockerapi.Volume{Volume: vol, Containers: len(v.ContainersOfVolume(vol.ID))}, nil
}

func noSuchVolume(name string) error {
	return model.Errorf(model.KindNotFound, "get %.128s: no such volume", name)
}

// ListVolumes implements dockerapi.Volumes.
func (s *Service) ListVolumes(_ context.Context, a model.Account) ([]dockerapi.Volume, error) {
	v := s.store.View()
	all := []dockerapi.Volume{}
	for _, vol := range v.Volumes(a.ID) {
		all = append(all, dockerapi.Volume{Volume: *vol, Containers: len(v.ContainersOfVolume(vol.ID))})
	}
	return all, nil
}

// RemoveVolume implements dockerapi.Volumes. The files go at once, or when
// their node is back.
func (s *Service) RemoveVolume(ctx context.Context, a model.Account, name string) error {
	vol, ok := s.store.View().VolumeByName(a.ID, name)
	if !ok {
		return noSuchVolume(name)
	}
	return s.remove(ctx, vol)
}

func (s *Service) remove(ctx context.Context, vol model.Volume) error {
	_, err := s.store.Propose(ctx, command.RemoveVolume{ID: vol.ID, Time: time.Now().UTC()})
	return err
}

// PruneVolumes implements dockerapi.Volumes. A volume that a container mounts
// meanwhile stays.
func (s *Service) PruneVolumes(ctx context.Context, a model.Account, want func(*model.Volume) bool) (removed []string, reclaimed int64, err error) {
	all, err := s.ListVolumes(ctx, a)
	if err != nil {
		return nil, 0, err
	}
	all = slices.DeleteFunc(all, func(v dockerapi.Volume) bool { return v.Containers > 0 || !want(&v.Volume) })
	usage, err := s.VolumeUsage(ctx, all)
	if err != nil {
		return nil, 0, err
	}
	for _, v := range all {
		err := s.remove(ctx, v.Volume)
		if model.IsKind(err, model.KindConflict) {
			continue
		}
		if err != nil {
			return removed, reclaimed, err
		}
		removed, reclaimed = append(removed, v.Name), reclaimed+usage[v.ID].Used
	}
	_, err = s.store.Propose(ctx, command.RecordEvent{Event: model.Event{
		Time: time.Now().UTC(), AccountID: a.ID, Type: "volume", Action: "prune",
		Attributes: map[string]string{"reclaimed": strconv.FormatInt(reclaimed, 10)},
	}})
	return removed, reclaimed, err
}

// VolumeUsage implements dockerapi.Volumes.
func (s *Service) VolumeUsage(ctx context.Context, vs []dockerapi.Volume) (map[string]model.VolumeUsage, error) {
	byNode, usage := map[string][]string{}, map[string]model.VolumeUsage{}
	for _, v := range vs {
		if v.NodeID == "" {
			usage[v.ID] = model.VolumeUsage{}
			continue
		}
		byNode[v.NodeID] = append(byNode[v.NodeID], v.ID)
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for nodeID, ids := range byNode {
		asking.Go(func() {
			some, err := s.agents.Agent(nodeID).VolumeUsage(ctx, ids)
			if err != nil {
				s.log.Debug("cannot measure volumes", slog.String("node", nodeID), slog.Any("err", err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(usage, some)
		})
	}
	asking.Wait()
	return usage, ctx.Err()
}
