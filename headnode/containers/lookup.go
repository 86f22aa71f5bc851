package containers

import (
	"context"
	"strings"
	"sync"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// find resolves what a user calls a container: its whole id, then its name,
// then a prefix of its id that no other container of the account has. What is
// only reserved is not there yet.
func find(v *state.View, accountID, ref string) (model.Container, error) {
	if model.IsID(ref) {
		if c, ok := v.Container(ref); ok && c.AccountID == accountID && c.Phase != model.PhaseReserved {
			return c, nil
		}
	}
	if c, ok := v.ContainerByName(accountID, strings.TrimPrefix(ref, "/")); ok && c.Phase != model.PhaseReserved {
		return c, nil
	}
	var hits []*model.Container
	if model.IsIDPrefix(ref) {
		for _, c := range v.ContainersByPrefix(accountID, ref) {
			if c.Phase != model.PhaseReserved {
				hits = append(hits, c)
			}
		}
	}
	switch len(hits) {
	case 1:
		return *hits[0], nil
	case 0:
		return model.Container{}, model.Errorf(model.KindNotFound, "No such container: %s", ref)
	}
	return model.Container{}, model.Errorf(model.KindInvalid, "multiple IDs found with provided prefix: %s", ref)
}

// Get implements dockerapi.Containers.
func (s *Service) Get(_ context.Context, a model.Account, ref string) (model.Container, error) {
	return find(s.store.View(), a.ID, ref)
}

// List implements dockerapi.Containers. The number is the account's version,
// and the list is made once for each.
func (s *Service) List(_ context.Context, a model.Account) ([]*model.Container, uint64, error) {
	v := s.store.View()
	version := v.AccountVersion(a.ID)
	if list, ok := s.lists.get(a.ID, version); ok {
		return list, version, nil
	}
	list := v.Containers(a.ID)
	kept := list[:0]
	for _, c := range list {
		if c.Phase != model.PhaseReserved {
			kept = append(kept, c)
		}
	}
	s.lists.put(a.ID, version, kept)
	return kept, version, nil
}

// listCache keeps each account's last list: pointers into the state, which are
// never changed.
type listCache struct {
	mu    sync.RWMutex
	lists map[string]cachedList
}

type cachedList struct {
	version    uint64
	containers []*model.Container
}

func (l *listCache) get(accountID string, version uint64) ([]*model.Container, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	c, ok := l.lists[accountID]
	return c.containers, ok && c.version == version
}

func (l *listCache) put(accountID string, version uint64, containers []*model.Container) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lists == nil {
		l.lists = map[string]cachedList{}
	}
	l.lists[accountID] = cachedList{version, containers}
}
