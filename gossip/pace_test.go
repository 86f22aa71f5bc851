package gossip

import (
	"fmt"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

func TestManyTellTheirLoadsLessOften(t *testing.T) {
	t.Parallel()
	began := time.Unix(1000, 0)
	for _, c := range []struct {
		machines int
		after    time.Duration
		told     bool
	}{{3, 0, true}, {100, 9 * time.Second, false}, {100, 10 * time.Second, true}, {1000, 99 * time.Second, false}, {1000, 100 * time.Second, true}} {
		table := newTable("self", nil)
		for i := range c.machines {
			table.known[fmt.Sprint(i)] = Member{Alive: true}
		}
		tell := func(at time.Time, running int) int {
			before := table.queue.NumQueued()
			table.setLoad(model.NodeLoad{Running: running}, at)
			table.tell(at)
			return table.queue.NumQueued() - before
		}
		if got := tell(began, 1); got != 1 {
			t.Errorf("%d machines: %d loads are queued at first", c.machines, got)
		}
		table.queue.Reset()
		if got := tell(began.Add(c.after), 2); (got == 1) != c.told {
			t.Errorf("%d machines, after %s: %d loads are queued, want %v", c.machines, c.after, got, c.told)
		}
		if l, _ := table.load("self"); l.Running != 2 {
			t.Errorf("%d machines: a push/pull would tell %d", c.machines, l.Running)
		}
	}
}
