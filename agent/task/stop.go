package task

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/signal"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// killPatience is how long a container may take to end after SIGKILL before
// those who wait for it are told that it did not.
const killPatience = 10 * time.Second

const defaultStopTimeout = 10 // seconds

// ending is an end that was asked for and has not come.
type ending struct {
	deadline time.Time // when SIGKILL follows; zero is never
	killed   bool      // SIGKILL was sent because the deadline passed
	stop     bool      // the journal tells of a stop after the end
	restart  bool      // a user asked for another run after it
	then     []answer  // in the order of asking
}

// Stop ends the container; KindNotModified if it does not run.
func (t *Task) Stop(ctx context.Context, r wire.StopRequest) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { t.stop(r, reply) })
}

func (t *Task) stop(r wire.StopRequest, reply answer) {
	switch t.status.Phase {
	case "", state.PhaseCreating, state.PhaseArriving:
		reply(wire.Ack{}, NotFound(t.id))
	case state.PhaseWaiting:
		reply(t.giveUpRestart("stop"))
	case state.PhaseRunning:
		then := reply
		if t.ending != nil && t.ending.restart {
			then = func(wire.Ack, error) { t.stop(r, reply) } // after the run that was asked for before
		}
		t.end(r, &ending{stop: true, then: []answer{then}})
	default:
		reply(t.node.Records.Place(), model.Errorf(model.KindNotModified, "container %s is not running", t.id))
	}
}

// Restart stops the container if it runs, and starts it.
func (t *Task) Restart(ctx context.Context, r wire.StopRequest) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) {
		if t.status.Phase != state.PhaseRunning {
			reply(t.start(false, "restart"))
			return
		}
		t.end(r, &ending{stop: true, restart: true, then: []answer{func(_ wire.Ack, err error) {
			if err != nil {
				reply(wire.Ack{}, err)
				return
			}
			reply(t.restart())
		}}})
	})
}

// restart starts the container after the end that a restart has asked for.
func (t *Task) restart() (wire.Ack, error) {
	if t.status.Phase == state.PhaseRunning {
		return t.node.Records.Place(), nil // another restart was before this one
	}
	ack, err := t.start(false, "restart")
	if err != nil && t.status.Restarting {
		next := t.status
		next.Restarting = false
		if _, err := t.record(next); err != nil {
			t.log.Error("cannot record that a restart came to nothing", "op", "restart", "err", err)
			t.become(next)
		}
	}
	return ack, err
}

// finishRestart does what is left to do of a restart that the last process
// did not finish.
func (t *Task) finishRestart() {
	if !t.status.Restarting || t.status.Phase != state.PhaseIdle || t.removed {
		return
	}
	if _, err := t.restart(); err != nil {
		t.log.Error("cannot start a container again that was to be restarted", "op", "restart", "err", err)
	}
}

// Kill sends a signal; KindConflict if the container does not run.
func (t *Task) Kill(ctx context.Context, r wire.KillRequest) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { reply(t.kill(r)) })
}

func (t *Task) kill(r wire.KillRequest) (wire.Ack, error) {
	if t.absent() {
		return wire.Ack{}, NotFound(t.id)
	}
	sig, err := parseSignal(r.Signal, syscall.SIGKILL)
	if err != nil {
		return wire.Ack{}, err
	}
	own, err := parseSignal(t.spec().StopSignal, syscall.SIGTERM)
	if err != nil {
		return wire.Ack{}, err
	}
	endsIt := sig == own || meantToEnd(sig)
	if t.status.Phase == state.PhaseWaiting && endsIt {
		return t.giveUpRestart("kill", "signal", strconv.Itoa(int(sig)))
	}
	if t.status.Phase != state.PhaseRunning {
		return wire.Ack{}, model.Errorf(model.KindConflict, "container %s is not running", t.id)
	}
	return t.signal(sig, intent{ends: endsIt, thaws: sig == syscall.SIGKILL || sig == own || t.spec().StopSignal == ""})
}

// meantToEnd tells whether whoever sends the signal wants the container to
// end, and thus not to be restarted. Others, such as HUP, ask it for something.
func meantToEnd(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT:
		return true
	}
	return false
}

// intent is what somebody wants with a signal.
type intent struct {
	ends     bool // the container is to end, and its policy not to restart it
	restarts bool // once it has ended it is to be started
	removes  bool // once it has ended it is to be removed
	thaws    bool // if it is paused it is to go on, so that the signal has its effect
}

// signal records and sends a signal. A container that ends at this moment
// needs none.
func (t *Task) signal(sig syscall.Signal, want intent) (wire.Ack, error) {
	next := t.status
	next.UserStopped = next.UserStopped || want.ends
	next.Restarting = next.Restarting || want.restarts
	next.Removing = next.Removing || want.removes
	ack, err := t.record(next, t.entry("kill", nil, "signal", strconv.Itoa(int(sig))))
	if err != nil {
		return ack, err
	}
	ctx, cancel := t.step()
	defer cancel()
	err = t.node.Runtime.Signal(ctx, t.id, sig)
	if model.IsKind(err, model.KindConflict) || model.IsKind(err, model.KindNotFound) {
		return ack, nil
	}
	if err == nil && want.thaws && (t.paused() || t.status.Freezing) {
		thawed, err := t.unpause()
		if model.IsKind(err, model.KindConflict) { // the signal has thawed or ended it already
			return t.thawed()
		}
		return thawed, err
	}
	return ack, err
}

// giveUpRestart ends the waiting for a restart.
func (t *Task) giveUpRestart(action string, attributes ...string) (wire.Ack, error) {
	t.timer.Stop()
	next := t.status
	next.Phase = state.PhaseIdle
	next.UserStopped = true
	next.State.Status = model.StatusExited
	ack, err := t.record(next, t.entry(action, &next.State, attributes...))
	if err != nil {
		t.timer.Reset(retryPause)
	}
	return ack, err
}

// HowToStop is the signal that asks a container to end, and how many seconds it
// has before it is killed; a negative number is any time.
func HowToStop(spec *model.ContainerSpec) (signal syscall.Signal, seconds int) {
	signal, err := parseSignal(spec.StopSignal, syscall.SIGTERM)
	if err != nil {
		signal = syscall.SIGTERM // an image may name any nonsense; it must still stop
	}
	if spec.StopTimeout != nil {
		return signal, *spec.StopTimeout
	}
	return signal, defaultStopTimeout
}

// end sends the stop signal and has SIGKILL follow. Whoever asks while an end
// is awaited joins it: the earlier deadline counts.
func (t *Task) end(r wire.StopRequest, asked *ending) {
	fail := func(err error) {
		for _, reply := range asked.then {
			reply(wire.Ack{}, err)
		}
	}
	own, seconds := HowToStop(t.spec())
	sig, err := parseSignal(r.Signal, own)
	if err != nil {
		fail(err)
		return
	}
	if _, err := t.signal(sig, intent{ends: true, restarts: asked.restart, thaws: true}); err != nil {
		fail(err)
		return
	}
	if r.Timeout != nil {
		seconds = *r.Timeout
	}
	if seconds >= 0 {
		asked.deadline = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	t.awaitEnd(asked)
}

// awaitEnd joins asked to what is awaited and sets the timer.
func (t *Task) awaitEnd(asked *ending) {
	if e := t.ending; e != nil {
		asked.then = append(e.then, asked.then...)
		asked.stop = asked.stop || e.stop
		asked.restart = asked.restart || e.restart
		asked.killed = e.killed
		if !e.deadline.IsZero() && (asked.deadline.IsZero() || e.deadline.Before(asked.deadline)) {
			asked.deadline = e.deadline
		}
	}
	t.ending = asked
	t.watchHealth()
	if asked.deadline.IsZero() {
		t.timer.Stop()
	} else {
		t.timer.Reset(time.Until(asked.deadline))
	}
}

// escalate acts on a deadline that has passed: SIGKILL, and when that had no
// effect either, an error to those who wait.
func (t *Task) escalate() {
	if t.ending.killed {
		waiting := t.ending.then
		t.ending = nil
		t.watchHealth()
		for _, reply := range waiting {
			reply(wire.Ack{}, model.Errorf(model.KindInternal, "tried to kill container, but did not receive an exit event"))
		}
		return
	}
	t.ending.killed = true
	if _, err := t.signal(syscall.SIGKILL, intent{ends: true, thaws: true}); err != nil {
		t.log.Error("cannot kill a container that did not stop", "op", "stop", "err", err)
	}
	t.ending.deadline = time.Now().Add(killPatience)
	t.timer.Reset(killPatience)
}

// parseSignal reads a signal as kill(1) names it; "" is fallback.
func parseSignal(name string, fallback syscall.Signal) (syscall.Signal, error) {
	if name == "" {
		return fallback, nil
	}
	sig, err := signal.ParseSignal(name)
	if err != nil || sig <= 0 || sig > 64 {
		return 0, model.Errorf(model.KindInvalid, "Invalid signal: %s", strings.ToValidUTF8(name, "?"))
	}
	return sig, nil
}
