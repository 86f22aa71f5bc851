package circle_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/quorum"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// TestNobodyIsRefusedWhileAHeadIsElected: reads and writes that begin while no
// head leads wait until one does, for as long as they say.
func TestNobodyIsRefusedWhileAHeadIsElected(t *testing.T) {
	t.Parallel()
	r := headtest.NewRing(t, 3, 0)
	leader, followers := r.Leader(), r.Followers()
	leader.Kill()
	const readPatience = 4 * time.Second // of quorum
	var asking sync.WaitGroup
	for i := range 20 {
		h := followers[i%len(followers)]
		for what, c := range map[string]struct {
			do       func(context.Context) error
			patience time.Duration
		}{
			"read": {h.Circle.Heads.Fresh, readPatience},
			"write": {func(ctx context.Context) error {
				_, err := h.Circle.Heads.Propose(ctx, command.SetSetting{Name: fmt.Sprint("n", i), Value: "v"})
				return err
			}, quorum.Patience},
		} {
			asking.Go(func() {
				began := time.Now()
				err := c.do(headtest.Context(t))
				if took := time.Since(began); err != nil && took < c.patience {
					t.Errorf("a %s was refused after %s: %v", what, took, err)
				}
			})
		}
	}
	asking.Wait()
}
