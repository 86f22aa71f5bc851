package runtime

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

// Runtime runs the containers of a node. Its methods may be called by many
// goroutines at once.
type Runtime struct {
	cfg         Config
	logger      *slog.Logger
	client      *client
	guardian    *guardian
	oci         ociRuntime
	host        ocispec.Host
	programs    *programs
	init        initProgram
	warnings    []string
	hierarchies []hierarchy // of control groups
	logs        jsonlog.Watcher

	// cgroups is write-locked while an account's empty group is removed, so
	// that no container is just being made in it.
	cgroups  sync.RWMutex
	cleaning sync.Mutex // of accounts' groups
	// uncleaned is set when they could not be looked at.
	uncleaned atomic.Bool

	// realtime keeps two containers from being promised the same CPU time.
	realtime sync.Mutex

	mu   sync.Mutex
	told map[[2]string]bool // exits that were handed out and not acknowledged, by id and run
}

// New returns a Runtime that does nothing until it is opened.
func New(cfg Config) *Runtime {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runtime{cfg: cfg, logger: cfg.Logger, client: newClient(cfg.RunDir), guardian: newGuardian(cfg), told: map[[2]string]bool{}}
}

// Open chooses the OCI runtime, finds or starts the supervisor, and compiles
// the default seccomp profile if that was not done before.
func (r *Runtime) Open(ctx context.Context) error {
	for _, dir := range []string{r.cfg.RunDir, r.cfg.StateDir, r.bundles(), r.ociRoot()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot open runtime: %w", err)
		}
	}
	var err error
	if r.oci, r.warnings, err = findRuntime(ctx, r.cfg.Runtime); err != nil {
		return fmt.Errorf("cannot open runtime: %w", err)
	}
	if r.host, err = readHost(); err != nil {
		return fmt.Errorf("cannot open runtime: %w", err)
	}
	if r.hierarchies, err = listHierarchies(); err != nil {
		return fmt.Errorf("cannot open runtime: %w", err)
	}
	if missing := r.host.MissingControllers; len(missing) > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("containers that ask for limits of %s are refused: version %d of control groups lacks these controllers here; "+
			"boot the kernel with cgroup_no_v1=all, or delegate them to the agent's unit", strings.Join(missing, ", "), r.host.CgroupVersion))
	}
	if !r.host.SwapLimit {
		r.warnings = append(r.warnings, "the kernel cannot limit swap: boot it with swapaccount=1")
	}
	if !seccompInKernel() {
		r.warnings = append(r.warnings, "the kernel cannot filter system calls: containers run without seccomp")
	}
	if r.init, err = findInit(ctx); err != nil {
		r.warnings = append(r.warnings, fmt.Sprintf("containers that ask for an init process (docker run --init) are refused: %v; install the package tini", err))
	}
	if err := r.guardian.open(ctx); err != nil {
		return fmt.Errorf("cannot open runtime: %w", err)
	}
	r.programs = newPrograms(filepath.Join(r.cfg.StateDir, "seccomp"), r.oci)
	if seccompInKernel() {
		r.prefill(ctx)
	}
	return nil
}

// Close lets go of the supervisor. It and all containers go on.
func (r *Runtime) Close() error {
	r.guardian.close()
	r.client.http.CloseIdleConnections()
	return nil
}

// Info says what the node can do. It is known after Open.
func (r *Runtime) Info() Info {
	return Info{
		Runtime: r.oci.name + " " + r.oci.version, CgroupVersion: r.host.CgroupVersion, Init: r.init.version,
		Seccomp: seccompInKernel(), Warnings: append([]string(nil), r.warnings...),
	}
}

func (r *Runtime) bundles() string         { return filepath.Join(r.cfg.RunDir, "bundles") }
func (r *Runtime) bundle(id string) string { return filepath.Join(r.bundles(), id) }
func (r *Runtime) ociRoot() string         { return filepath.Join(r.cfg.RunDir, r.ociRootName()) }
func (r *Runtime) ociRootName() string     { return "oci" }
func (r *Runtime) containerDir(id string) string {
	return filepath.Join(r.cfg.StateDir, iod.ContainerName, id)
}

// command is the OCI runtime with its global options.
func (r *Runtime) command() []string {
	argv := []string{r.oci.path, "--root", r.ociRoot()}
	if r.oci.name == "crun" {
		argv = append(argv, "--cgroup-manager=cgroupfs")
	}
	return argv
}

// Register makes a container known to the supervisor: it can be attached to
// from now on. Registering it again is no error; with other settings it is
// KindConflict.
func (r *Runtime) Register(ctx context.Context, id string, spec *model.ContainerSpec) error {
	set, err := r.settings(spec)
	if err != nil {
		return err
	}
	if err := iod.CheckName(id); err != nil {
		return model.WrapError(model.KindInvalid, err, "invalid container id")
	}
	return failure(r.ask(ctx, "PUT", unitPath(id, ""), set, nil), "register the container")
}

// settings judges how a container's streams are to be treated.
func (r *Runtime) settings(spec *model.ContainerSpec) (iod.Settings, error) {
	set := iod.Settings{Tty: spec.Tty, Stdin: spec.OpenStdin, StdinOnce: spec.StdinOnce}
	return set, logSettings(spec.Log, r.cfg.Logs, &set)
}

func unitPath(id, action string) string {
	p := "/units/" + url.PathEscape(id)
	if action != "" {
		p += "/" + action
	}
	return p
}

// ask puts a question that may be put twice. If the supervisor dies over it,
// the next one answers.
func (r *Runtime) ask(ctx context.Context, method, path string, in, out any) error {
	for try := 0; ; try++ {
		lost := r.guardian.loss()
		err := r.client.call(ctx, method, path, in, out)
		var refused *refusal
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil || try == 3 || !r.awaitNext(ctx, lost) {
			return err
		}
	}
}

// awaitNext waits for a supervisor to ask again, after one did not answer. That
// one is most likely dead, which is found out at once.
func (r *Runtime) awaitNext(ctx context.Context, lost <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	alive := time.NewTimer(time.Second)
	defer alive.Stop()
	select {
	case <-lost:
	case <-alive.C: // only the connection was broken
	case <-ctx.Done():
		return false
	}
	return r.guardian.await(ctx) == nil
}

// Signal sends a signal to the container's first process; KindConflict if it
// does not run. SIGKILL also ends a paused one: it is let go on so that it
// dies. Other signals reach a paused one when it is unpaused.
func (r *Runtime) Signal(ctx context.Context, id string, sig syscall.Signal) error {
	err := r.ask(ctx, "POST", unitPath(id, "signal?signal="+strconv.Itoa(int(sig))), nil, nil)
	if err != nil || sig != unix.SIGKILL {
		return notRunning(failure(err, "signal the container"), id)
	}
	record, err := r.readRecord(id)
	if err != nil {
		return err
	}
	return r.groupAt(record.Group).Thaw()
}

// notRunning says a conflict in Docker's words.
func notRunning(err error, id string) error {
	if model.IsKind(err, model.KindConflict) {
		return model.WrapError(model.KindConflict, err, "container %s is not running", id)
	}
	return err
}

// Exits streams the ends of runs until ctx does: first those that were not
// acknowledged, oldest first, then each as it happens, also of runs that end
// while there is no supervisor. Only one stream may be open at a time.
func (r *Runtime) Exits(ctx context.Context) (<-chan Exit, error) {
	r.mu.Lock()
	clear(r.told)
	r.mu.Unlock()
	out := make(chan Exit)
	r.guardian.work.Go(func() {
		defer close(out)
		for ctx.Err() == nil {
			if r.guardian.await(ctx) != nil {
				return
			}
			if err := r.streamExits(ctx, out); err != nil && ctx.Err() == nil {
				r.logger.Debug("stream of exits is opened again", "err", err)
				select {
				case <-time.After(5 * time.Millisecond): // the guardian has not noticed yet
				case <-ctx.Done():
				}
			}
		}
	})
	return out, nil
}

func (r *Runtime) streamExits(ctx context.Context, out chan<- Exit) error {
	resp, err := r.client.open(ctx, "GET", "/exits", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(bufio.NewReader(resp.Body))
	for {
		var e iod.Exit
		if err := d.Decode(&e); err != nil {
			return err
		}
		key := [2]string{e.ID, e.Run}
		r.mu.Lock()
		known := r.told[key]
		r.told[key] = true
		r.mu.Unlock()
		if known {
			continue
		}
		select {
		case out <- Exit(e):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// AckExit makes the supervisor forget an exit, which the caller has recorded.
func (r *Runtime) AckExit(ctx context.Context, id, run string) error {
	err := r.ask(ctx, "DELETE", "/exits/"+url.PathEscape(id)+"/"+url.PathEscape(run), nil, nil)
	if err == nil {
		r.mu.Lock()
		delete(r.told, [2]string{id, run})
		r.mu.Unlock()
	}
	return failure(err, "acknowledge an exit")
}

// Running lists what runs. A run that was started, is not listed, and has no
// exit to acknowledge was lost with the machine.
func (r *Runtime) Running(ctx context.Context) ([]Process, error) {
	var list []iod.Process
	if err := r.ask(ctx, "GET", "/units", nil, &list); err != nil {
		return nil, failure(err, "list what runs")
	}
	out := make([]Process, len(list))
	for i, p := range list {
		out[i] = processOf(p)
	}
	return out, nil
}

func processOf(p iod.Process) Process {
	return Process{ID: p.ID, Pid: p.Pid, StartTicks: p.StartTicks, Run: p.Run, StartedAt: p.StartedAt}
}

// status asks for one unit.
func (r *Runtime) status(ctx context.Context, id string) (iod.Status, error) {
	var st iod.Status
	err := r.ask(ctx, "GET", unitPath(id, ""), nil, &st)
	return st, failure(err, "find "+model.ShortID(id))
}

// Unregister forgets a container that does not run: its log, its exits and
// its execs. Forgetting an unknown one is no error.
func (r *Runtime) Unregister(ctx context.Context, id string) error {
	return failure(r.ask(ctx, "DELETE", unitPath(id, ""), nil, nil), "forget the container")
}

// Resize sets the size of a container's terminal.
func (r *Runtime) Resize(ctx context.Context, id string, rows, cols uint16) error {
	err := r.ask(ctx, "POST", unitPath(id, fmt.Sprintf("resize?rows=%d&cols=%d", rows, cols)), nil, nil)
	return notRunning(failure(err, "resize the terminal"), id)
}

// readSettings tells how a container was registered.
func (r *Runtime) readSettings(id string) (iod.Settings, error) {
	var set iod.Settings
	if err := iod.CheckName(id); err != nil {
		return set, model.WrapError(model.KindInvalid, err, "invalid container id")
	}
	err := atomicfile.ReadJSON(filepath.Join(r.containerDir(id), iod.SettingsName), &set)
	return set, model.WrapError(model.KindNotFound, err, "No such container: %s", id)
}
