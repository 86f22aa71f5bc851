package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

// ExecStart runs a process in a running container and joins its streams; with
// spec.Detach there is no stream. KindConflict if the container does not run or
// is paused, KindInvalid if the command cannot be run.
//
// crun lets the command go just before it sets spec.Size, and hands over the
// terminal after that: on a busy node the command may find no size (0 by 0) at
// first, and gets SIGWINCH with it. runc sets the size before.
func (r *Runtime) ExecStart(ctx context.Context, container string, spec ExecSpec) (Stream, error) {
	if err := errors.Join(iod.CheckName(container), iod.CheckName(spec.ID)); err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "invalid exec request")
	}
	run, err := r.running(ctx, container)
	if err != nil {
		return nil, err
	}
	if err := r.refusePaused(ctx, container, run); err != nil {
		return nil, err
	}
	process, err := r.execProcess(run, spec)
	if err != nil {
		return nil, err
	}
	set := iod.Settings{Tty: spec.Tty, Stdin: spec.Stdin && !spec.Detach, StdinOnce: true, Container: container}
	if err := r.ask(ctx, "PUT", unitPath(spec.ID, ""), set, nil); err != nil {
		return nil, failure(err, "start the exec")
	}
	var joined *stream
	if !spec.Detach {
		o := AttachOptions{Stdin: spec.Stdin, Stdout: spec.Stdout || spec.Tty, Stderr: spec.Stderr, DetachKeys: spec.DetachKeys}
		if joined, _, err = r.join(ctx, spec.ID, o, false); err != nil {
			return nil, err
		}
	}
	req := iod.StartRequest{Run: spec.ID, Command: r.command(), Process: process}
	if err := r.ask(ctx, "POST", unitPath(spec.ID, "start"), req, nil); err != nil {
		if joined != nil {
			joined.Close()
		}
		r.forgetExec(ctx, spec.ID)
		return nil, execFailure(err, spec.Args[0])
	}
	if joined == nil {
		return nil, nil
	}
	return joined, nil
}

// execProcess is the container's own process with what spec changes.
func (r *Runtime) execProcess(run run, spec ExecSpec) (json.RawMessage, error) {
	var bundle specs.Spec
	if err := atomicfile.ReadJSON(filepath.Join(r.bundle(run.ID), "config.json"), &bundle); err != nil {
		return nil, fmt.Errorf("cannot start exec: %w", err)
	}
	if len(spec.Args) == 0 {
		return nil, model.Errorf(model.KindInvalid, "No exec command specified")
	}
	p := bundle.Process
	if p == nil || p.Capabilities == nil {
		return nil, errors.New("cannot start exec: the container's bundle is damaged")
	}
	p.Args, p.Terminal = spec.Args, spec.Tty
	if spec.WorkingDir != "" {
		if !path.IsAbs(spec.WorkingDir) {
			return nil, model.Errorf(model.KindInvalid, "Cwd must be an absolute path: %q", spec.WorkingDir)
		}
		p.Cwd = path.Clean(spec.WorkingDir)
	}
	if p.Cwd == "/proc" || strings.HasPrefix(p.Cwd, "/proc/") {
		return nil, model.Errorf(model.KindInvalid, "working directory %q is refused: it may not be in /proc", spec.WorkingDir)
	}
	if spec.Size != nil && spec.Tty {
		p.ConsoleSize = &specs.Box{Height: uint(spec.Size[0]), Width: uint(spec.Size[1])}
	}
	if spec.Tty {
		p.Env = ocispec.Environment([]string{"TERM=xterm"}, p.Env)
	}
	if spec.User != "" {
		if err := changeUser(p, run, spec.User); err != nil {
			return nil, err
		}
	}
	p.Env = ocispec.Environment(p.Env, spec.Env)
	caps := p.Capabilities.Bounding
	if spec.Privileged {
		caps = r.host.Capabilities
	}
	p.Capabilities = ocispec.ProcessCapabilities(caps, p.User.UID)
	return json.Marshal(p)
}

// changeUser makes p run as another user, found in the root as the container's
// own processes see it, with the groups that the container adds.
func changeUser(p *specs.Process, run run, name string) error {
	root, err := os.OpenFile(fmt.Sprintf("/proc/%d/root", run.Pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return model.WrapError(model.KindConflict, err, "the container is not running")
	}
	defer root.Close()
	user, err := resolveUser(root, name, run.record.GroupAdd)
	if err != nil {
		return err
	}
	p.User = ocispec.ProcessUser(user, p.User.Umask)
	if !run.record.OwnHome {
		p.Env = ocispec.WithHome(ocispec.Environment(p.Env, []string{"HOME="}), user.Home)
	}
	return nil
}

// forgetExec drops an exec that did not start.
func (r *Runtime) forgetExec(ctx context.Context, id string) {
	if err := r.ask(ctx, "DELETE", unitPath(id, ""), nil, nil); err != nil {
		r.logger.Debug("failed exec is not forgotten", "err", err)
	}
}

// execFailure tells, in Docker's words, why a command was not run.
func execFailure(err error, command string) error {
	var refused *refusal
	if !errors.As(err, &refused) || refused.status != http.StatusUnprocessableEntity {
		return failure(err, "start the exec")
	}
	known := startFailure(err, command)
	if model.IsKind(known, model.KindInvalid) {
		_, reason, _ := strings.Cut(model.UserText(known), "unable to start container process: ")
		return model.WrapError(model.KindInvalid, err, "OCI runtime exec failed: exec failed: unable to start container process: %s", reason)
	}
	return model.WrapError(model.KindInternal, err, "OCI runtime exec failed; the operator finds the cause in the node's log")
}

// ExecResize sets the size of an exec's terminal.
func (r *Runtime) ExecResize(ctx context.Context, execID string, rows, cols uint16) error {
	return r.Resize(ctx, execID, rows, cols)
}

// ExecState tells what became of an exec. It is known for at least five
// minutes after its end, if its container is not unregistered before.
func (r *Runtime) ExecState(ctx context.Context, execID string) (ExecState, error) {
	st, err := r.status(ctx, execID)
	if err != nil {
		return ExecState{}, err
	}
	var out ExecState
	if st.Process != nil {
		out.Running, out.Pid = true, st.Process.Pid
	} else if st.LastExit != nil {
		code := st.LastExit.ExitCode
		out.ExitCode = &code
	}
	return out, nil
}

// ExecWait returns when the exec has ended, or at once if it was never
// started; KindNotFound if it is not known.
func (r *Runtime) ExecWait(ctx context.Context, execID string) (ExecState, error) {
	if err := r.ask(ctx, "GET", unitPath(execID, "wait"), nil, nil); err != nil {
		return ExecState{}, failure(err, "wait for the exec")
	}
	return r.ExecState(ctx, execID)
}
