package agent

import (
	"context"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// The load is told every loadInterval, and soon after a container has started
// or ended, or the storage has failed or recovered: at most once in loadPause.
const (
	loadInterval = 3 * time.Second
	loadPause    = 250 * time.Millisecond
)

// TellLoad tells g how full the machine is until ctx ends. freeDisk returns
// the bytes that containers could still fill.
func (a *Agent) TellLoad(ctx context.Context, g Gossip, freeDisk func(context.Context) (int64, error)) {
	answers, over := a.askStorage(ctx, freeDisk)
	defer over()
	tick := time.NewTicker(loadInterval)
	defer tick.Stop()
	var disk storage
	select {
	case disk = <-answers:
	case <-ctx.Done():
		return
	}
	// Sequences of a later process are higher than those of an earlier one.
	sequence := uint64(time.Now().UnixNano())
	for {
		sequence++
		load := a.load()
		load.Sequence, load.Free.Disk, load.Storage = sequence, disk.free, disk.fault
		g.SetLoad(load)
		for told := disk.fault; told == disk.fault; {
			select {
			case <-ctx.Done():
				return
			case disk = <-answers:
				continue
			case <-tick.C:
			case <-a.changed:
				if !pause(ctx, loadPause) {
					return
				}
			}
			break
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// load samples everything but the disk.
func (a *Agent) load() model.NodeLoad {
	l := model.NodeLoad{Load1: readLoad1(), Sampled: time.Now()}
	for _, s := range a.snapshots() {
		l.Containers++
		if s.State.Status.Running() {
			l.Running++
		}
	}
	memory, err := readMemory()
	if err != nil {
		a.log.Warn("cannot tell how much memory is free", "op", "load", "err", err)
	}
	l.Free.Memory = memory.available
	l.Free.CPU = max(0, a.info.Capacity.CPU-int64(l.Load1*1000))
	return l
}
