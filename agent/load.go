package agent

import (
	"context"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// The load is told every loadInterval, and soon after a container has started
// or ended: at most once in loadPause.
const (
	loadInterval = 3 * time.Second
	loadPause    = 250 * time.Millisecond
)

// TellLoad tells g how full the machine is until ctx ends. freeDisk returns
// the bytes that containers could still fill.
func (a *Agent) TellLoad(ctx context.Context, g Gossip, freeDisk func(context.Context) (int64, error)) {
	tick := time.NewTicker(loadInterval)
	defer tick.Stop()
	// Sequences of a later process are higher than those of an earlier one.
	sequence := uint64(time.Now().UnixNano())
	for {
		sequence++
		load := a.load()
		load.Sequence = sequence
		if free, err := freeDisk(ctx); err != nil {
			a.log.Warn("cannot tell how much space is free", "op", "load", "err", err)
		} else {
			load.Free.Disk = free
		}
		g.SetLoad(load)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			continue
		case <-a.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(loadPause):
		}
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
