package cgroup

import (
	"cmp"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/spearheadcloud/spearhead/model"
)

// realtimePeriod is the period of groups that are given no other, in
// microseconds.
const realtimePeriod = 1_000_000

// GrantRealtime gives the groups above g, which it makes where they are not
// there, enough real-time CPU time for what l gives g: with version 1 a group
// shares out among those below it what it has itself, and a new one has none.
// KindInvalid if the node has not so much left. Only one may be under way in a
// hierarchy at a time.
func (g Group) GrantRealtime(l *model.Limits) error {
	type grant struct {
		to   Group
		time int64 // of each realtimePeriod
	}
	var grants []grant // innermost first
	period := cmp.Or(l.CPURealtimePeriod, realtimePeriod)
	more := l.CPURealtimeRuntime*realtimePeriod/period - g.realtime()
	for at := g.above(); at.Path != "/"; at = at.above() {
		if err := os.MkdirAll(at.dir("cpu"), 0o755); err != nil {
			return model.WrapError(model.KindInternal, err, "cannot share out real-time CPU time")
		}
		needed := at.realtimeBelow() + more
		if more = needed - at.realtime(); more <= 0 {
			break
		}
		grants = append(grants, grant{at, needed})
	}
	for i := len(grants) - 1; i >= 0; i-- {
		err := write(grants[i].to.file("cpu", "cpu.rt_runtime_us"), strconv.FormatInt(grants[i].time, 10))
		if err != nil {
			return model.WrapError(model.KindInvalid, err, "cannot give %d of %d microseconds of real-time CPU time: the node has not so much left", l.CPURealtimeRuntime, period)
		}
	}
	return nil
}

func (g Group) above() Group { return Group{g.Root, g.Version, path.Dir(g.Path)} }

// realtime is the group's time of each realtimePeriod; 0 without such a group.
func (g Group) realtime() int64 {
	runtime, err := number(g.file("cpu", "cpu.rt_runtime_us"))
	period, err2 := number(g.file("cpu", "cpu.rt_period_us"))
	if err != nil || err2 != nil || period == 0 {
		return 0
	}
	return int64(runtime * realtimePeriod / period)
}

// realtimeBelow is what the groups in the group have together.
func (g Group) realtimeBelow() (sum int64) {
	dirs, err := filepath.Glob(filepath.Join(g.dir("cpu"), "*/cpu.rt_runtime_us"))
	if err != nil {
		return 0
	}
	for _, file := range dirs {
		sum += Group{g.Root, g.Version, path.Join(g.Path, filepath.Base(filepath.Dir(file)))}.realtime()
	}
	return sum
}
