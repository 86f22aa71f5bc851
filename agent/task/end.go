package task

import (
	"errors"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
)

// unknownEnd is what a user reads of an end that nobody saw.
const unknownEnd = "the container ended while nobody could watch it, such as when its machine stopped; its exit code is not known"

// ended records the end of a run, gives back what the run held, and does what
// was waiting for it. Only a recorded end is acknowledged: until then the
// runtime keeps it.
func (t *Task) ended(e runtime.Exit) {
	live := t.status.Phase == state.PhaseRunning || t.status.Phase == state.PhaseStarting
	if !live || e.Run != t.status.Run {
		t.acknowledge(e)
		return
	}
	next := t.status
	next.State.Status = model.StatusExited
	next.State.Pid = 0
	next.State.ExitCode, next.State.ExitUnknown, next.State.OOMKilled = e.ExitCode, e.Unknown, e.OOMKilled
	next.State.FinishedAt = e.FinishedAt
	next.Freezing, next.Relimiting, next.Rewiring = false, false, false
	t.endHealth(&next.State)
	if e.Unknown {
		next.State.ExitCode, next.State.Error = 255, unknownEnd
	}
	if e.FinishedAt.IsZero() {
		next.State.FinishedAt = time.Now()
	}
	pause := t.afterEnd(&next)
	ack, recorded, _ := t.recordWhile(state.Change{Entries: t.endEntries(&next.State)}, next, t.releaseLeftovers)
	if recorded != nil {
		t.log.Error("cannot record the end of a container; trying again", "op", "exit", "err", recorded)
		t.unrecorded = &e
		t.timer.Reset(retryPause)
		return
	}
	t.unrecorded = nil
	t.timer.Stop()
	if err := failpoint.Hit("agent/exit-recorded"); err != nil {
		t.log.Error("stopped after recording an end", "op", "exit", "err", err)
	}
	t.acknowledge(e)
	if t.leftovers {
		t.cleanUp("exit")
	}
	t.watchHealth()
	t.node.Changed()
	t.proceed(pause)
	t.finishEnding(ack)
	t.finishRestart()
}

// endEntries tells of an end in Docker's order.
func (t *Task) endEntries(s *model.ContainerState) []model.JournalEntry {
	var entries []model.JournalEntry
	if s.OOMKilled {
		entries = append(entries, t.entry("oom", nil))
	}
	entries = append(entries, t.entry("die", s, "exitCode", strconv.Itoa(s.ExitCode)))
	if t.ending != nil && t.ending.stop {
		entries = append(entries, t.entry("stop", nil))
	}
	return entries
}

// afterEnd decides what follows an end: another run after the returned pause,
// the removal, or rest.
func (t *Task) afterEnd(next *state.Status) time.Duration {
	next.Phase = state.PhaseIdle
	if next.State.FinishedAt.Sub(next.State.StartedAt) >= steadyRun {
		next.QuickEnds = 0
	}
	switch {
	case next.Removing:
		next.Phase = state.PhaseRemoving
	case !next.UserStopped && wantsRestart(t.spec().Restart, next.State.ExitCode, next.State.RestartCount):
		pause := restartDelay(next.QuickEnds)
		next.Phase = state.PhaseWaiting
		next.State.Status = model.StatusRestarting
		next.State.RestartCount++
		next.QuickEnds++
		return pause
	case t.spec().AutoRemove && !next.Restarting && !next.Departing:
		next.Phase = state.PhaseRemoving
	}
	return 0
}

// proceed does what a phase that does not rest asks for.
func (t *Task) proceed(pause time.Duration) {
	switch t.status.Phase {
	case state.PhaseWaiting:
		t.timer.Reset(pause)
	case state.PhaseRemoving:
		if _, err := t.remove(); err != nil {
			t.log.Error("cannot remove an ended container; trying again", "op", "remove", "err", err)
		}
	}
}

// finishEnding does what was waiting for the end, in the order of asking.
func (t *Task) finishEnding(ack wire.Ack) {
	if t.ending == nil {
		return
	}
	waiting := t.ending.then
	t.ending = nil
	for _, then := range waiting {
		then(ack, nil)
	}
}

func (t *Task) acknowledge(e runtime.Exit) {
	ctx, cancel := t.step()
	defer cancel()
	if err := t.node.Runtime.AckExit(ctx, t.id, e.Run); err != nil {
		t.log.Warn("cannot acknowledge an exit; it will be told again", "op", "exit", "err", err)
	}
}

// cleanUp releases what a run held. If that fails it is tried again after a
// while, and before the next run and the removal.
func (t *Task) cleanUp(op string) {
	if err := t.releaseLeftovers(); err != nil {
		t.log.Error("cannot clean up after a run; trying again", "op", op, "err", err)
		t.timer.Reset(retryPause)
	}
}

// releaseLeftovers releases what a run held, if that has not been done.
func (t *Task) releaseLeftovers() error {
	if !t.leftovers {
		return nil
	}
	err := t.release()
	t.leftovers = err != nil
	return err
}

// release gives back everything that a run holds. It may be called at any
// time when no process of the container is alive.
func (t *Task) release() error {
	ctx, cancel := t.step()
	defer cancel()
	var work errgroup.Group // not bound to each other: all of it must be tried
	var network error
	work.Go(func() error {
		t.node.Shipper.End(ctx, t.id) // over the network that goes now
		network = t.node.Network.Detach(ctx, t.id)
		return nil
	})
	err := t.node.Runtime.Clean(ctx, t.id)
	if err == nil && !t.root.inUse() { // else a process, or a user, still holds the root
		err = t.node.Images.UnmountRoot(ctx, t.id)
		t.root.mounted = t.root.mounted && err != nil
	}
	work.Wait()
	return errors.Join(err, network, t.node.Volumes.Conceal(t.id))
}
