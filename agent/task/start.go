package task

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
)

// Start starts the container; KindNotModified if it runs.
func (t *Task) Start(ctx context.Context) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) { reply(t.start(false)) })
}

// start begins a new run. An automatic one is the restart policy's, which
// counts them; actions are told in the journal after "start".
func (t *Task) start(automatic bool, actions ...string) (wire.Ack, error) {
	switch t.status.Phase {
	case "", state.PhaseCreating, state.PhaseArriving:
		return wire.Ack{}, NotFound(t.id)
	case state.PhaseRunning:
		if t.paused() {
			return t.node.Records.Place(), model.Errorf(model.KindConflict, "cannot start a paused container, try unpause instead")
		}
		return t.node.Records.Place(), model.Errorf(model.KindNotModified, "container %s is already running", t.id)
	case state.PhaseRemoving:
		return wire.Ack{}, model.Errorf(model.KindConflict, "container is marked for removal and cannot be started")
	}
	t.timer.Stop()
	if err := t.mayHere(); err != nil {
		if t.status.Phase == state.PhaseWaiting {
			t.timer.Reset(retryPause)
		}
		return wire.Ack{}, err
	}
	if t.leftovers {
		if t.cleanUp("start"); t.leftovers {
			return wire.Ack{}, model.Errorf(model.KindUnavailable, "container %s cannot be started: what its last run held is not free yet; try again in a moment", t.id)
		}
	}
	before := t.status
	next := before
	next.Phase = state.PhaseStarting
	next.Run = model.ShortID(model.NewID())
	next.UserStopped = false
	if !automatic {
		next.QuickEnds, next.State.RestartCount = 0, 0
	}
	t.leftovers = true
	var surroundings runtime.StartRequest
	_, recorded, made := t.recordWhile(state.Change{}, next, func() (err error) {
		surroundings, err = t.surroundings(next.Run)
		return err
	})
	if recorded != nil {
		t.cleanUp("start")
		if before.Phase == state.PhaseWaiting {
			t.timer.Reset(retryPause)
		}
		return wire.Ack{}, recorded
	}
	process, err := t.launch(surroundings, made)
	if err != nil {
		return t.startFailed(before, automatic, startFailure(err))
	}
	return t.started(process, actions...)
}

// mayHere is nil if the container may be started, and is this node's to start.
func (t *Task) mayHere() error {
	if t.status.Departing {
		return errDeparting(t.request.Container.Name)
	}
	return t.may()
}

// may is nil if the node may start the container now.
func (t *Task) may() error {
	if t.node.May == nil {
		return nil
	}
	return t.node.May(t.spec())
}

// started records that the newest run has begun. If even that cannot be
// written the container runs on, as after a crash at this place.
func (t *Task) started(p runtime.Process, actions ...string) (wire.Ack, error) {
	next := t.status
	next.Phase = state.PhaseRunning
	next.State.Status = model.StatusRunning
	next.State.Pid = p.Pid
	next.State.StartedAt = p.StartedAt
	next.State.ExitCode, next.State.ExitUnknown, next.State.OOMKilled, next.State.Error = 0, false, false, ""
	next.State.Health = t.newHealth()
	next.Restarting, next.Freezing, next.Relimiting, next.Rewiring = false, false, false, false
	entries := []model.JournalEntry{t.entry("start", &next.State)}
	for _, action := range actions {
		entries = append(entries, t.entry(action, nil))
	}
	t.healthNow.Store(next.State.Health)
	defer t.watchHealth()
	defer t.shipLogs()
	if err := failpoint.Hit("agent/start-running"); err != nil {
		t.become(next)
		return wire.Ack{}, err
	}
	ack, err := t.record(next, entries...)
	t.become(next)
	t.node.Changed()
	return ack, err
}

// launch starts the newest run in its surroundings, unless making those
// failed; when it fails, all of it is gone again.
func (t *Task) launch(r runtime.StartRequest, made error) (runtime.Process, error) {
	ctx, cancel := t.step()
	defer cancel()
	var undo revert.Stack
	defer undo.Revert()
	undo.Add(func() { t.cleanUp("start") })
	if made != nil {
		return runtime.Process{}, made
	}
	if err := failpoint.Hit("agent/start-recorded"); err != nil {
		return runtime.Process{}, err
	}
	if err := t.may(); err != nil { // what came before may have taken long
		return runtime.Process{}, err
	}
	process, err := t.node.Runtime.Start(ctx, r)
	if err != nil {
		return runtime.Process{}, err
	}
	if process.StartedAt.IsZero() {
		process.StartedAt = time.Now()
	}
	undo.Success()
	return process, nil
}

// surroundings makes root, network, volumes and files: all but the last at the
// same time.
func (t *Task) surroundings(run string) (runtime.StartRequest, error) {
	ctx, cancel := t.step()
	defer cancel()
	c := &t.request.Container
	r := runtime.StartRequest{ID: t.id, AccountID: c.AccountID, Run: run, Spec: linkedSpec(&c.Spec)}
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() (err error) {
		if r.Rootfs, err = t.node.Images.MountRoot(ctx, t.id); err != nil {
			return fmt.Errorf("cannot mount the root of container %s: %w", t.id, err)
		}
		return failpoint.Hit("agent/start-root")
	})
	work.Go(func() (err error) {
		if r.Netns, err = t.network(ctx); err != nil {
			return err
		}
		return failpoint.Hit("agent/start-network")
	})
	work.Go(func() (err error) {
		if r.Spec, err = t.exposed(ctx, r.Spec); err != nil {
			return err
		}
		return failpoint.Hit("agent/start-volumes")
	})
	err := work.Wait()
	if err != nil {
		return r, err
	}
	if err := t.etc(&r); err != nil {
		return r, err
	}
	if r.JoinPid, err = t.joins(); err != nil {
		return r, err
	}
	return r, failpoint.Hit("agent/start-prepared")
}

// linkedSpec is spec with the environment that its links add, before its own:
// what a user has set stays.
func linkedSpec(spec *model.ContainerSpec) *model.ContainerSpec {
	if len(spec.Links) == 0 {
		return spec
	}
	linked := *spec
	linked.Env = nil
	for _, link := range spec.Links {
		linked.Env = append(linked.Env, link.Env...)
	}
	linked.Env = append(linked.Env, spec.Env...)
	return &linked
}

// network returns the namespace that the container lives in, as StartRequest
// wants it named.
func (t *Task) network(ctx context.Context) (string, error) {
	c := &t.request.Container
	if peer, joined := strings.CutPrefix(c.Spec.Network, "container:"); joined {
		pid, err := t.node.Pid(peer)
		if err != nil {
			return "", model.WrapError(model.KindConflict, err, "cannot join network of a non running container: %s", peer)
		}
		return fmt.Sprintf("/proc/%d/ns/net", pid), nil
	}
	if c.Spec.Network == "host" {
		return "host", nil
	}
	if len(c.NICs) == 0 && c.Spec.Network == "none" {
		return "", nil
	}
	path, err := t.node.Network.Attach(ctx, attachment(t.request))
	if err != nil {
		return "", fmt.Errorf("cannot attach container %s to its networks: %w", t.id, err)
	}
	return path, nil
}

// etc writes the files that are bound over the container's own. One that
// joins another's network shares the other's names too.
func (t *Task) etc(r *runtime.StartRequest) error {
	files, err := writeEtc(t.node.Dir, &t.request.Container, t.request.Networks)
	if err != nil {
		return fmt.Errorf("cannot write the host files of container %s: %w", t.id, err)
	}
	if peer, joined := strings.CutPrefix(t.spec().Network, "container:"); joined {
		files = etcPaths(t.node.Dir, peer)
	}
	r.Hostname, r.Hosts, r.ResolvConf = files.hostname, files.hosts, files.resolvConf
	return nil
}

// joins finds the processes whose namespaces the container shares.
func (t *Task) joins() (map[string]int, error) {
	joins := make(map[string]int)
	for namespace, mode := range map[string]string{"pid": t.spec().PidMode, "ipc": t.spec().IpcMode} {
		peer, joined := strings.CutPrefix(mode, "container:")
		if !joined {
			continue
		}
		pid, err := t.node.Pid(peer)
		if err != nil {
			return nil, model.WrapError(model.KindConflict, err, "cannot join %s of a non running container: %s", strings.ToUpper(namespace), peer)
		}
		joins[namespace] = pid
	}
	return joins, nil
}

// startFailed records a start that came to nothing. One that a user asked for
// is over; one of the restart policy counts as an end of the container.
func (t *Task) startFailed(before state.Status, automatic bool, cause error) (wire.Ack, error) {
	next := before
	next.Restarting = false
	next.State.Pid = 0
	next.State.ExitCode, next.State.Error = exitCodeOf(cause), model.UserText(cause)
	next.Phase = state.PhaseIdle
	next.State.Status = model.StatusExited
	if before.State.StartedAt.IsZero() {
		next.State.Status = model.StatusCreated
	}
	pause := time.Duration(0)
	if automatic {
		pause = t.afterEnd(&next)
	} else if t.spec().AutoRemove {
		next.Phase = state.PhaseRemoving
	}
	if _, err := t.record(next, t.entry("die", &next.State, "exitCode", fmt.Sprint(next.State.ExitCode))); err != nil {
		t.log.Error("cannot record a failed start", "op", "start", "err", err)
		t.become(next)
	}
	t.proceed(pause)
	return wire.Ack{}, cause
}

// startFailure gives an error of a start the form that a user reads.
func startFailure(err error) error {
	var told *model.Error
	if !errors.As(err, &told) {
		return model.WrapError(model.KindInternal, err, "failed to create task for container: internal error; the operator finds the cause in the node's log")
	}
	return err
}

// exitCodeOf is the exit code of a container whose start failed: as a shell
// has it for a command that is not there (127) or cannot be run (126).
func exitCodeOf(err error) int {
	text := model.UserText(err)
	for _, known := range []struct {
		words string
		code  int
	}{
		{"executable file not found", 127},
		{"no such file or directory", 127},
		{"permission denied", 126},
		{"is a directory", 126},
		{"exec format error", 126},
	} {
		if strings.Contains(text, known.words) {
			return known.code
		}
	}
	return 128
}
