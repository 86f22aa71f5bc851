package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// defaultExitGrace is how long the runtime may take to tell of the end of a run that
// is recorded as alive and is not; then its exit code counts as unknown.
const defaultExitGrace = 3 * time.Second

// settleLimit bounds how long the start waits for tasks that are busy with
// what the last process left; their commands wait for them in any case.
const settleLimit = 10 * time.Second

// reconcile joins what is recorded with what is there, once, at the start.
func (a *Agent) reconcile(ctx context.Context) error {
	records, err := a.records.Records()
	if err != nil {
		return err
	}
	if a.exits, err = a.drivers.Runtime.Exits(a.running); err != nil {
		return err
	}
	processes, err := a.drivers.Runtime.Running(ctx)
	if err != nil {
		return err
	}
	alive := make(map[string]*runtime.Process)
	for _, p := range processes {
		alive[p.ID] = &p
	}
	ends := a.endOrphans(ctx, records, alive)
	ends = append(ends, a.collectEnds(ctx, records, alive, ends)...)
	if err := a.removeOrphans(ctx, records); err != nil {
		return err
	}
	for _, r := range records {
		id := r.Request.Container.ID
		t := task.Recover(a.node, r, alive[id], newest(ends, id, r.Status.Run))
		a.mu.Lock()
		a.tasks[id] = t
		a.mu.Unlock()
	}
	for _, e := range ends {
		if t := a.find(e.ID); t == nil || t.Snapshot().Run != e.Run {
			a.exited(e)
		}
	}
	if err := a.execs.recover(); err != nil {
		return err
	}
	return a.settle(ctx)
}

// collectEnds reads ends that were not acknowledged until there is one for
// each run that is recorded as alive and is not. early are those read before.
func (a *Agent) collectEnds(ctx context.Context, records []state.Record, alive map[string]*runtime.Process, early []runtime.Exit) []runtime.Exit {
	missing := make(map[string]string) // container → run
	for _, r := range records {
		id, run := r.Request.Container.ID, r.Status.Run
		if mayRun(&r) && alive[id] == nil && newest(early, id, run) == nil {
			missing[id] = run
		}
	}
	var ends []runtime.Exit
	patience := time.NewTimer(a.exitGrace)
	defer patience.Stop()
	for len(missing) > 0 {
		select {
		case e, open := <-a.exits:
			if !open {
				return ends
			}
			ends = append(ends, e)
			if missing[e.ID] == e.Run {
				delete(missing, e.ID)
			}
		case <-patience.C:
			a.log.Warn("containers ended while nobody could watch them", "op", "recover", "count", len(missing))
			return ends
		case <-ctx.Done():
			return ends
		}
	}
	return ends
}

func newest(ends []runtime.Exit, id, run string) *runtime.Exit {
	for _, e := range ends {
		if e.ID == id && e.Run == run {
			return &e
		}
	}
	return nil
}

// mayRun tells whether a record has a run that may be alive.
func mayRun(r *state.Record) bool {
	return r.Status.Phase == state.PhaseRunning || r.Status.Phase == state.PhaseStarting
}

// endOrphans ends processes that are no recorded run, and drops them from
// alive. It returns the ends of other runs that it heard of meanwhile.
func (a *Agent) endOrphans(ctx context.Context, records []state.Record, alive map[string]*runtime.Process) []runtime.Exit {
	known := make(map[string]*state.Record, len(records))
	for i := range records {
		known[records[i].Request.Container.ID] = &records[i]
	}
	var others []runtime.Exit
	for id, p := range alive {
		r := known[id]
		if r != nil && mayRun(r) && r.Status.Run == p.Run {
			continue
		}
		a.log.Warn("ending a process that no record knows", "op", "recover", "container", id)
		delete(alive, id)
		heard, err := a.endOrphan(ctx, p, r == nil)
		others = append(others, heard...)
		if err != nil {
			a.log.Error("cannot end a process that no record knows", "op", "recover", "container", id, "err", err)
		}
	}
	return others
}

// removeOrphans removes what is there and that no record knows. It cannot be
// what somebody was promised: records come first.
func (a *Agent) removeOrphans(ctx context.Context, records []state.Record) error {
	known := make(map[string]bool, len(records))
	for i := range records {
		known[records[i].Request.Container.ID] = true
	}
	orphans := func(list []string, err error) ([]string, error) {
		var unknown []string
		for _, id := range list {
			if !known[id] {
				unknown = append(unknown, id)
			}
		}
		return unknown, err
	}
	sandboxes, err := orphans(a.drivers.Network.Sandboxes(ctx))
	if err != nil {
		return err
	}
	roots, err := orphans(a.drivers.Images.Roots(ctx))
	if err != nil {
		return err
	}
	etc, err := orphans(a.etcFolders())
	if err != nil {
		return err
	}
	parts, err := orphans(a.drivers.Volumes.Exposed())
	if err != nil {
		return err
	}
	a.removeEach(parts, "parts of volumes", a.drivers.Volumes.Conceal)
	a.removeEach(sandboxes, "network", func(id string) error { return a.drivers.Network.Detach(ctx, id) })
	a.removeEach(roots, "root", func(id string) error {
		return errors.Join(a.drivers.Images.UnmountRoot(ctx, id), a.drivers.Images.RemoveRoot(ctx, id))
	})
	a.removeEach(etc, "files", func(id string) error { return os.RemoveAll(filepath.Join(a.etc, id)) })
	return nil
}

func (a *Agent) removeEach(ids []string, what string, remove func(string) error) {
	for _, id := range ids {
		a.log.Warn("removing what no record knows", "op", "recover", "container", id, "part", what)
		if err := remove(id); err != nil {
			a.log.Error("cannot remove what no record knows", "op", "recover", "container", id, "part", what, "err", err)
		}
	}
}

// etcFolders lists the containers that have files here.
func (a *Agent) etcFolders() ([]string, error) {
	entries, err := os.ReadDir(a.etc)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids, err
}

// endOrphan kills a process and, when it has ended, cleans up after it. It
// returns the ends of other runs that it heard of meanwhile.
func (a *Agent) endOrphan(ctx context.Context, p *runtime.Process, forget bool) (others []runtime.Exit, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := a.drivers.Runtime.Signal(ctx, p.ID, syscall.SIGKILL); err != nil && !model.IsKind(err, model.KindConflict) {
		return nil, err
	}
	for ended := false; !ended; {
		select {
		case e, open := <-a.exits:
			if !open {
				return others, errors.New("the runtime tells of no more exits")
			}
			if ended = e.ID == p.ID && e.Run == p.Run; !ended {
				others = append(others, e)
			} else if err := a.drivers.Runtime.AckExit(ctx, e.ID, e.Run); err != nil {
				return others, err
			}
		case <-ctx.Done():
			return others, ctx.Err()
		}
	}
	if err := a.drivers.Runtime.Clean(ctx, p.ID); err != nil || !forget {
		return others, err
	}
	return others, a.drivers.Runtime.Unregister(ctx, p.ID)
}

// settle waits until tasks have dealt with what the last process left.
func (a *Agent) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	a.mu.Lock()
	tasks := make([]*task.Task, 0, len(a.tasks))
	for _, t := range a.tasks {
		tasks = append(tasks, t)
	}
	a.mu.Unlock()
	for _, t := range tasks {
		if err := t.Settle(ctx); err != nil && ctx.Err() != nil {
			a.log.Warn("a container is not yet as it should be; going on", "op", "recover", "container", t.ID())
			break
		}
	}
	return nil
}
