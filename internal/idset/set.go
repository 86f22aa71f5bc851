package idset

import (
	"maps"
	"slices"
	"sync"
)

// Set is a set of ids. The zero value is empty and ready. It is safe for
// concurrent use.
type Set struct {
	mu  sync.Mutex
	ids map[string]bool
}

// Add adds an id, and reports whether it was not in the set.
func (s *Set) Add(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids[id] {
		return false
	}
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	s.ids[id] = true
	return true
}

// Remove removes an id; one that is not in the set is no error.
func (s *Set) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}

// Has reports whether an id is in the set.
func (s *Set) Has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id]
}

// List returns the ids, in no order.
func (s *Set) List() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.ids))
}
