package task

import (
	"time"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// recover brings a container whose task is new to where its record says it
// should be. The process may have been killed between any two steps.
func (t *Task) recover(alive *runtime.Process, exit *runtime.Exit) {
	if alive != nil && alive.Run != t.status.Run {
		alive = nil
	}
	if exit != nil && exit.Run != t.status.Run {
		t.acknowledge(*exit)
		exit = nil
	}
	switch t.status.Phase {
	case state.PhaseCreating:
		t.forgetCreated()
		t.removed = true
	case state.PhaseArriving: // the next fetch goes on with it
	case state.PhaseRemoving:
		t.proceed(0)
	case state.PhaseStarting:
		t.recoverStarting(alive, exit)
	case state.PhaseRunning:
		t.recoverRunning(alive, exit)
	case state.PhaseWaiting:
		t.cleanUp("recover")
		t.proceed(0)
	default:
		if exit != nil {
			t.acknowledge(*exit)
		}
		t.cleanUp("recover")
		t.finishRestart()
	}
}

// recoverStarting finishes a start whose process began, and undoes another.
func (t *Task) recoverStarting(alive *runtime.Process, exit *runtime.Exit) {
	if alive == nil && exit == nil {
		t.cleanUp("recover")
		next := t.status
		next.Phase = state.PhaseIdle
		if next.State.Status == model.StatusRestarting {
			next.Phase = state.PhaseWaiting
		}
		if _, err := t.record(next); err != nil {
			t.log.Error("cannot record that a start was undone", "op", "recover", "err", err)
			t.become(next)
		}
		t.proceed(0)
		t.finishRestart()
		return
	}
	p := alive
	if p == nil {
		p = &runtime.Process{StartedAt: exit.FinishedAt}
	}
	if _, err := t.started(*p); err != nil {
		t.log.Error("cannot record a start that was found", "op", "recover", "err", err)
	}
	if exit != nil {
		t.ended(*exit)
	}
}

// recoverRunning takes over a container that runs, as it is, and records the
// end of another: the true one, or that it is not known.
func (t *Task) recoverRunning(alive *runtime.Process, exit *runtime.Exit) {
	switch {
	case exit != nil:
		t.ended(*exit)
	case alive == nil:
		t.ended(runtime.Exit{ID: t.id, Run: t.status.Run, Unknown: true, FinishedAt: time.Now()})
	default:
		t.adopt(alive)
	}
}

// adopt takes over a process that runs, and undoes what the last agent had
// begun with it.
func (t *Task) adopt(alive *runtime.Process) {
	if alive.Pid != t.status.State.Pid {
		next := t.status
		next.State.Pid = alive.Pid
		if _, err := t.record(next); err != nil {
			t.log.Error("cannot record the process of a container", "op", "recover", "err", err)
		}
	}
	if t.status.Relimiting {
		t.restoreLimits()
	}
	if t.status.Rewiring {
		t.finishRewiring()
	}
	if t.status.Freezing {
		t.thaw()
	}
	t.watchHealth()
	t.shipLogs()
}
