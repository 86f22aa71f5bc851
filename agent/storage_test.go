package agent_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/zfs"
)

// told takes the loads that an agent tells.
type told chan model.NodeLoad

func (t told) SetLoad(l model.NodeLoad) { t <- l }

// A node tells what is wrong with its storage, what was free before, and that
// it is over.
func TestTheFaultsOfStorageAreTold(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	var fails atomic.Pointer[error]
	var free atomic.Int64
	free.Store(50 << 30)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	loads, ended := make(told), make(chan struct{})
	go func() {
		defer close(ended)
		n.TellLoad(ctx, loads, func(context.Context) (int64, error) {
			if err := fails.Load(); err != nil {
				return 0, *err
			}
			return free.Load(), nil
		})
	}()
	await := func(want model.StorageFault, disk int64) {
		t.Helper()
		for {
			select {
			case l := <-loads:
				if l.Storage == want && l.Free.Disk == disk {
					return
				}
			case <-ctx.Done():
				t.Fatalf("never told that the storage %q with %d bytes free", want, disk)
			}
		}
	}
	await("", 50<<30)
	suspended := fmt.Errorf("cannot read properties: %w", zfs.ErrSuspended)
	fails.Store(&suspended)
	await(model.StorageSuspended, 50<<30)
	silent := errors.New("deadline")
	fails.Store(&silent)
	await(model.StorageSilent, 50<<30)
	fails.Store(nil)
	await("", 50<<30)
	cancel()
	for {
		select {
		case <-loads:
			continue
		case <-ended:
			return
		}
	}
}
