package accountapi

import (
	"sync"

	"github.com/spearheadcloud/spearhead/model"
)

// maxTurns bounds the calls of one account that are under way at once: a node
// carries out a few zfs commands at a time, for all accounts.
const maxTurns = 16

// turns counts the calls that are under way, by their accounts' ids.
type turns struct {
	mu    sync.Mutex
	taken map[string]int
}

// take counts a call until done is called. KindExhausted if its account has
// too many under way.
func (t *turns) take(accountID string) (done func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken[accountID] >= maxTurns {
		return nil, model.Errorf(model.KindExhausted, "%d calls of this account are under way; try again when one has ended", maxTurns)
	}
	if t.taken == nil {
		t.taken = map[string]int{}
	}
	t.taken[accountID]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.taken[accountID]--; t.taken[accountID] == 0 {
			delete(t.taken, accountID)
		}
	}, nil
}
