package containers

import (
	"context"
	"strconv"
	"sync"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Wait implements dockerapi.Containers. It reads the exit code from the events
// after the moment of registration, so that a code is not lost when the
// container is started again or removed at once.
func (s *Service) Wait(ctx context.Context, a model.Account, ref string, cond dockerapi.WaitCondition, registered func()) (dockerapi.WaitResult, error) {
	leave, err := s.waits.enter(a.ID)
	if err != nil {
		return dockerapi.WaitResult{}, err
	}
	defer leave()
	v := s.store.View()
	c, err := find(v, a.ID, ref)
	if err != nil {
		return dockerapi.WaitResult{}, err
	}
	w := waiter{id: c.ID, cond: cond, restart: c.Spec.Restart, started: c.State, last: resultOf(c.State), index: v.Index(), order: lastOrder}
	failed, end := s.failedStarts.wait(c.ID)
	defer end()
	registered()
	if cond == dockerapi.WaitNotRunning && ended(c.State.Status) {
		return w.last, nil
	}
	if cond != dockerapi.WaitRemoved || !c.Spec.AutoRemove {
		err = s.store.Wait(ctx, w.look)
		return w.last, err
	}
	ctx, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	beside.Go(func() { s.discardUnstarted(ctx, &c, failed) })
	err = s.store.Wait(ctx, w.look)
	return w.last, err
}

// lastOrder is past every event of one raft entry.
const lastOrder = 1<<31 - 1

// waiter is one wait: what it knows and how far it has read the events.
type waiter struct {
	id      string
	cond    dockerapi.WaitCondition
	restart model.RestartPolicy
	started model.ContainerState // when the wait was registered
	last    dockerapi.WaitResult
	index   uint64
	order   int
}

// look reports whether v shows the end of the wait.
func (w *waiter) look(v *state.View) (bool, error) {
	for _, e := range v.Events(w.index, w.order) {
		w.index, w.order = e.Index, e.Order
		if e.ActorID == w.id && e.Type == "container" && w.ends(e) {
			return true, nil
		}
	}
	// The events may have been so many that those of its end are gone.
	c, there := v.Container(w.id)
	died := there && c.State.FinishedAt.After(w.started.FinishedAt) && ended(c.State.Status)
	if died {
		w.last = resultOf(c.State)
	}
	switch w.cond {
	case dockerapi.WaitRemoved:
		return !there, nil
	case dockerapi.WaitNextExit:
		return died || !there, nil
	}
	return !there || ended(c.State.Status), nil
}

// ends reports whether an event of the container ends the wait: it may run
// again by the time that anybody looks at its state.
func (w *waiter) ends(e *model.Event) bool {
	switch e.Action {
	case "die":
		code, err := strconv.Atoi(e.Attributes["exitCode"])
		if err == nil {
			w.last = dockerapi.WaitResult{ExitCode: code}
		}
		return w.cond == dockerapi.WaitNextExit || w.cond == dockerapi.WaitNotRunning && !w.restarts(code)
	case "stop":
		return w.cond == dockerapi.WaitNotRunning // by its user, whatever the policy
	}
	return false
}

// restarts reports whether the container's node may start it again after an
// end with that code.
func (w *waiter) restarts(code int) bool {
	switch w.restart.Name {
	case "", "no":
		return false
	case "on-failure":
		return code != 0
	}
	return true
}

// ended reports whether a container has no process and its node will not, by
// itself, give it a new one.
func ended(s model.Status) bool { return !s.Running() && s != model.StatusRestarting }

func resultOf(s model.ContainerState) dockerapi.WaitResult {
	return dockerapi.WaitResult{ExitCode: s.ExitCode, Error: s.Error}
}
