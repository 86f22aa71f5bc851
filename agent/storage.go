package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/zfs"
)

// storage is how the node's storage does.
type storage struct {
	free  int64 // bytes; what was last known where it cannot be asked
	fault model.StorageFault
}

// storagePatience is how long the storage may take to say how much is free, and
// to write a little, before it counts as silent: as long as any other call may
// take, for nothing is put on it then.
const storagePatience = 30 * time.Second

// fullBelow is how little may be left, in bytes and of the whole, until
// storage counts as full: what runs there already can still use it up.
const (
	fullBelow  = 1 << 30
	fullBeyond = 100
)

// askStorage asks the storage how it does until ctx ends, and gives the answers
// to who wants them. The caller calls over, which waits for the end.
func (a *Agent) askStorage(ctx context.Context, freeDisk func(context.Context) (int64, error)) (answers <-chan storage, over func()) {
	given := make(chan storage)
	var asking sync.WaitGroup
	asking.Go(func() {
		var last storage
		for ctx.Err() == nil {
			now := a.askOnce(ctx, freeDisk, last.free)
			if ctx.Err() != nil {
				return
			}
			if now.fault != last.fault {
				a.log.Warn("the storage has changed how it does", "op", "load", "before", last.fault, "now", now.fault)
			}
			last = now
			a.storage.Store(&now)
			select {
			case given <- now:
			case <-ctx.Done():
			}
			pause(ctx, loadInterval)
		}
	})
	return given, asking.Wait
}

func (a *Agent) askOnce(ctx context.Context, freeDisk func(context.Context) (int64, error), before int64) storage {
	ctx, cancel := context.WithTimeout(ctx, storagePatience)
	defer cancel()
	free, err := freeDisk(ctx)
	switch {
	case errors.Is(err, zfs.ErrSuspended):
		return storage{before, model.StorageSuspended}
	case err != nil:
		a.log.LogAttrs(ctx, slog.LevelDebug, "cannot tell how much space is free", slog.String("op", "load"), slog.Any("err", err))
		return storage{before, model.StorageSilent}
	case free < min(fullBelow, a.info.Capacity.Disk/fullBeyond):
		return storage{free, model.StorageFull}
	}
	return storage{free: free}
}
