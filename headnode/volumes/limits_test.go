package volumes_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// R6: an account's limits hold also for volumes that are made and removed at
// once, whatever makes them, and what is used is what is there.
func TestLimitsHoldAmongVolumesAtOnce(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]model.AccountLimits{"volumes": {Volumes: 7}, "disk": {Disk: 7<<20 + 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, "one")
			b.Propose(command.SetAccountLimits{AccountID: b.a.ID, Limits: limits})
			for range 2 { // what was removed is free again
				made := b.makeAtOnce(30)
				used := b.Store.View().Used(b.a.ID)
				if len(made) != 7 || used.Volumes != 7 || used.Disk != 7<<20 {
					t.Errorf("%d were made, and %+v is used", len(made), used)
				}
				b.removeAtOnce(made)
				if used := b.Store.View().Used(b.a.ID); used.Volumes != 0 || used.Disk != 0 {
					t.Errorf("after all are removed %+v is used", used)
				}
			}
		})
	}
}

// makeAtOnce asks for so many volumes of 1 MiB at once, and returns the names of
// those that were made.
func (b *bed) makeAtOnce(count int) (made []string) {
	b.t.Helper()
	ctx := headtest.Context(b.t)
	var mu sync.Mutex
	var making sync.WaitGroup
	for i := range count {
		making.Go(func() {
			name := fmt.Sprint("vol", i)
			_, err := b.Volumes.CreateVolume(ctx, b.a, model.Volume{Name: name, Driver: "local", Size: 1 << 20})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made = append(made, name)
			} else if !model.IsKind(err, model.KindExhausted) {
				b.t.Errorf("volume %s: %v", name, err)
			}
		})
	}
	making.Wait()
	return made
}

func (b *bed) removeAtOnce(names []string) {
	b.t.Helper()
	ctx := headtest.Context(b.t)
	var removing sync.WaitGroup
	for _, name := range names {
		removing.Go(func() {
			if err := b.Volumes.RemoveVolume(ctx, b.a, name); err != nil {
				b.t.Errorf("volume %s: %v", name, err)
			}
		})
	}
	removing.Wait()
}
