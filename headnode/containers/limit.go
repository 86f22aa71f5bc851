package containers

import (
	"sync"

	"github.com/spearheadcloud/spearhead/model"
)

// gate limits what one account has under way at once, so that none can use up
// a head. The zero number of an account is not stored.
type gate struct {
	what  string
	limit int

	mu    sync.Mutex
	count map[string]int // by account id
}

func newGate(what string, limit int) *gate {
	return &gate{what: what, limit: limit, count: map[string]int{}}
}

// enter takes a place, or returns an error of KindExhausted. The returned
// function gives it back; calling it again does nothing.
func (g *gate) enter(accountID string) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count[accountID] >= g.limit {
		return nil, model.Errorf(model.KindExhausted, "this account has %d %s under way, which is the limit; wait until one ends", g.limit, g.what)
	}
	g.count[accountID]++
	return sync.OnceFunc(func() { g.leave(accountID) }), nil
}

func (g *gate) leave(accountID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count[accountID]--; g.count[accountID] == 0 {
		delete(g.count, accountID)
	}
}
