package iod

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
)

// A unit is one supervised process: a container's first, or an exec. It is
// registered, may be started, ends; a container may be started again.
type unit struct {
	id       string
	set      Settings
	runDir   string // FIFOs and the record of the run
	stateDir string // settings, log and exit records; "" for an exec
	sup      *supervisor
	hub      *hub
	logger   *slog.Logger

	mu      sync.Mutex
	phase   phase
	rec     record
	io      stdio
	pidfd   *os.File
	rows    uint16 // first size of the terminal, if it was set before the start
	cols    uint16
	begun   chan struct{} // closed when a run begins
	ended   chan struct{} // closed when it has ended
	last    *Exit
	endedAt time.Time
}

type phase int

const (
	idle phase = iota
	starting
	running
	removed
)

// record is what a restarted supervisor needs to know of a run.
type record struct {
	Process
	Boot    string   `json:"boot"` // the kernel's boot id: process numbers mean nothing in another one
	Command []string `json:"command"`
	OOMFile string   `json:"oom_file,omitempty"`
	// StartFifo is as in StartRequest. Until Released is set, a container may
	// wait there that a dead supervisor has created.
	StartFifo string `json:"start_fifo,omitempty"`
	Released  bool   `json:"released,omitempty"`
	// Since is when the start began, as ticksNow tells it.
	Since uint64 `json:"since,omitempty"`
	// StdinEnded keeps a restarted supervisor from opening the input again.
	StdinEnded bool `json:"stdin_ended,omitempty"`
}

func (s *supervisor) newUnit(id string, set Settings) *unit {
	u := &unit{
		id: id, set: set, sup: s, runDir: filepath.Join(s.cfg.RunDir, UnitsName, id),
		begun: make(chan struct{}), ended: make(chan struct{}),
		logger: s.cfg.Logger.With("container", id),
	}
	u.hub = &hub{logger: u.logger, pool: &s.chunks, clients: map[*client]struct{}{}}
	if set.Container == "" {
		u.stateDir = s.stateDir(id)
		if set.Log {
			u.hub.log = newLogFile(u.stateDir, set)
			if err := u.hub.log.load(); err != nil {
				u.logger.Warn("old log files are not in order", "err", err)
			}
		}
	}
	return u
}

func (u *unit) key(what string) string { return u.id + "/" + what }

// pidFile is where the OCI runtime names the process that it has made, and
// logFile where it tells why it has made none.
func (u *unit) pidFile() string { return filepath.Join(u.runDir, "pid") }
func (u *unit) logFile() string { return filepath.Join(u.runDir, "runtime.log") }

// fail makes an error with the HTTP status that it is answered with.
func fail(status int, format string, args ...any) error {
	return &statusError{status, fmt.Errorf(format, args...)}
}

type statusError struct {
	status int
	error
}

func (e *statusError) Unwrap() error { return e.error }

// start runs the unit. When it returns an error, nothing runs.
func (u *unit) start(req StartRequest) (Process, error) {
	u.mu.Lock()
	switch {
	case u.phase == running && u.rec.Run == req.Run:
		defer u.mu.Unlock()
		return u.rec.Process, nil // a repeated request
	case u.last != nil && u.last.Run == req.Run:
		defer u.mu.Unlock()
		return Process{ID: u.id, Run: req.Run}, nil // it has ended already, and that is told
	case u.phase != idle:
		defer u.mu.Unlock()
		return Process{}, fail(http.StatusConflict, "cannot start %s: it is running", u.id)
	}
	u.phase = starting
	u.rec = record{Process: Process{ID: u.id, Run: req.Run}, Boot: u.sup.boot, Command: req.Command, OOMFile: req.OOMFile, StartFifo: req.StartFifo, Since: ticksNow()}
	u.mu.Unlock()

	err := u.launch(req)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.phase = idle
		return Process{}, err
	}
	return u.rec.Process, nil
}

// launch makes the process, supervises it and lets it go. The record is written
// before the process exists, and again when its number is known.
func (u *unit) launch(req StartRequest) (err error) {
	if err := os.MkdirAll(u.runDir, 0o700); err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(u.runDir)
		}
	}()
	if err := errors.Join(u.writeRecord(), failpoint.Hit("iod/start-recorded")); err != nil {
		return err
	}
	u.sup.reaper.hold()
	io, err := u.create(req)
	if err != nil {
		u.sup.reaper.release()
		return err
	}
	if err = failpoint.Hit("iod/start-created"); err == nil {
		err = u.identify()
	}
	u.sup.reaper.release()
	if err != nil {
		io.close()
		u.undo(req.Command)
		return err
	}
	u.supervise(io)
	if u.set.Container != "" {
		return nil
	}
	u.letGo(false)
	return nil
}

// letGo lets a created container run, or ends it. It may be done again by a
// supervisor that cannot know whether another one came to it.
func (u *unit) letGo(again bool) {
	err := failpoint.Hit("iod/start-supervised")
	if err == nil {
		err = u.release(again)
	}
	if err == nil {
		err = failpoint.Hit("iod/start-released")
	}
	if err != nil {
		u.logger.Warn("container was created but does not start", "err", err)
		u.kill()
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.phase != running {
		return // it has ended already, and its record with it
	}
	u.rec.Released = true
	if err := u.writeRecord(); err != nil {
		u.logger.Warn("start is not recorded", "err", err)
	}
}

// create has the runtime make the process with its streams.
func (u *unit) create(req StartRequest) (s stdio, err error) {
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	argv := append(append([]string(nil), req.Command...), "--log", u.logFile(), "--log-format", "json")
	if u.set.Container != "" {
		processPath := filepath.Join(u.runDir, "process.json")
		if err := os.WriteFile(processPath, req.Process, 0o600); err != nil {
			return s, fmt.Errorf("cannot start: %w", err)
		}
		argv = append(argv, "exec", "--detach", "--process", processPath, "--pid-file", u.pidFile())
	} else {
		argv = append(argv, "create", "--bundle", req.Bundle, "--pid-file", u.pidFile())
	}
	var child childEnds
	var tty *console
	if u.set.Tty {
		if tty, err = newConsole(u.sup.consolePath()); err != nil {
			return s, err
		}
		defer tty.close()
		argv = append(argv, "--console-socket", tty.path)
	} else if s, child, err = openFifos(u.runDir, u.set.Stdin); err != nil {
		return s, err
	}
	target := u.id
	if u.set.Container != "" {
		target = u.set.Container
	}
	err = command(u.sup.ctx, append(argv, target), child[0], child[1], child[2])
	child.close()
	if err != nil {
		return s, fail(http.StatusUnprocessableEntity, "%s", runtimeMessage(u.logFile(), err))
	}
	if tty != nil {
		if s.pty, err = tty.receive(time.Now().Add(5 * time.Second)); err != nil {
			u.undo(req.Command)
			return s, err
		}
		if u.rows > 0 && u.cols > 0 {
			err = setSize(s.pty, u.rows, u.cols)
		}
	}
	return s, err
}

// identify finds the process that the runtime left, and claims its status.
func (u *unit) identify() error {
	pid, err := readPid(u.pidFile())
	if err != nil {
		return err
	}
	pidfd, err := openPidfd(pid)
	if err != nil {
		return err
	}
	ticks, err := StartTicks(pid)
	if err != nil {
		pidfd.Close()
		return err
	}
	u.sup.reaper.claim(pid, 1)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pidfd = pidfd
	u.rec.Pid, u.rec.StartTicks, u.rec.StartedAt = pid, ticks, time.Now().UTC()
	return u.writeRecord()
}

// supervise begins to read the streams and to wait for the end.
func (u *unit) supervise(s stdio) {
	u.mu.Lock()
	u.io = s
	u.phase = running
	keeper := u.sup.keeper
	for what, f := range map[string]*os.File{"stdin": s.in, "stdout": s.out, "stderr": s.err, "pty": s.pty, PidfdKey: u.pidfd} {
		if f != nil {
			keeper.keep(u.key(what), f)
		}
	}
	close(u.begun)
	u.mu.Unlock()
	var pumps sync.WaitGroup
	for stream, f := range map[byte]*os.File{1: s.out, 2: s.err} {
		if f != nil {
			pumps.Go(func() { pump(f, stream, u.hub) })
		}
	}
	if s.pty != nil {
		pumps.Go(func() { pump(s.pty, 1, u.hub) })
	}
	u.sup.work.Go(func() {
		code, known := awaitExit(u.pidfd, u.rec.Pid, u.rec.StartTicks)
		stopPump(s.out, s.err, s.pty)
		pumps.Wait()
		if u.sup.ctx.Err() != nil {
			u.hub.flush() // the supervisor stops; the process does not
			return
		}
		u.finish(code, known)
	})
}

// release has a created container start its program.
func (u *unit) release(again bool) error {
	if u.rec.StartFifo == "" {
		argv := append(append([]string(nil), u.rec.Command...), "start", u.id)
		return command(u.sup.ctx, argv, nil, nil, nil)
	}
	fd, err := unix.Open(u.rec.StartFifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if again && (err == unix.ENOENT || err == unix.ENXIO) {
		return nil // nobody waits there: it was released
	}
	if err != nil {
		return fmt.Errorf("cannot reach created container: %w", err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte{0}); err != nil {
		return fmt.Errorf("cannot release created container: %w", err)
	}
	if err := unix.Unlink(u.rec.StartFifo); err != nil {
		return fmt.Errorf("cannot release created container: %w", err)
	}
	return nil
}

// finish records the end, and only then tells of it.
func (u *unit) finish(code int, known bool) {
	u.hub.flush()
	e := Exit{ID: u.id, Run: u.rec.Run, ExitCode: code, Unknown: !known, FinishedAt: time.Now().UTC()}
	e.OOMKilled = countOOM(u.rec.OOMFile) > 0
	u.sup.recordExit(u, e)

	u.mu.Lock()
	for _, what := range []string{"stdin", "stdout", "stderr", "pty", PidfdKey} {
		u.sup.keeper.drop(u.key(what))
	}
	u.io.close()
	u.pidfd.Close()
	u.sup.reaper.claim(u.rec.Pid, -1)
	if u.stateDir != "" {
		if err := os.RemoveAll(u.runDir); err != nil {
			u.logger.Warn("leftovers of a run stay", "err", err)
		}
	}
	u.hub.end()
	u.phase, u.last, u.endedAt = idle, &e, time.Now()
	u.begun = make(chan struct{})
	close(u.ended)
	u.ended = make(chan struct{})
	u.mu.Unlock()
	u.sup.announce(u, e)
}

func (u *unit) kill() {
	if err := u.signal(unix.SIGKILL); err != nil {
		u.logger.Warn("process is not killed", "err", err)
	}
}

// signal reaches the very process that was started, never one that has got its
// number since.
func (u *unit) signal(sig unix.Signal) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.phase != running {
		return fail(http.StatusConflict, "cannot signal %s: it is not running", u.id)
	}
	err := sendSignal(u.pidfd, sig)
	if errors.Is(err, unix.ESRCH) {
		return fail(http.StatusConflict, "cannot signal %s: it is not running", u.id)
	}
	return err
}

func sendSignal(pidfd *os.File, sig unix.Signal) error {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) { failed = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	return errors.Join(err, failed)
}

func (u *unit) resize(rows, cols uint16) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.phase != running {
		if u.set.Tty && u.phase == idle && u.last == nil {
			u.rows, u.cols = rows, cols
			return nil
		}
		return fail(http.StatusConflict, "cannot resize %s: it is not running", u.id)
	}
	if u.io.pty == nil {
		return nil // Docker accepts it as well: there is nothing to resize
	}
	return setSize(u.io.pty, rows, cols)
}

func (u *unit) status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	st := Status{LastExit: u.last}
	if u.phase == running {
		p := u.rec.Process
		st.Process = &p
	}
	return st
}

// endStdin gives the process its end of input.
func (u *unit) endStdin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.phase != running || u.io.in == nil {
		return
	}
	u.rec.StdinEnded = true
	if err := u.writeRecord(); err != nil {
		u.logger.Warn("end of input is not recorded", "err", err)
	}
	u.sup.keeper.drop(u.key("stdin"))
	u.io.in.Close()
	u.io.in = nil
}

// writeRecord needs no fsync: a run does not outlive the kernel.
func (u *unit) writeRecord() error {
	return writeQuick(filepath.Join(u.runDir, "run.json"), u.rec)
}

// discard removes what is left of a unit that does not run.
func (u *unit) discard() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.phase == running || u.phase == starting {
		return fail(http.StatusConflict, "cannot forget %s: it is running", u.id)
	}
	u.phase = removed
	err := os.RemoveAll(u.runDir)
	if u.stateDir != "" {
		err = errors.Join(err, os.RemoveAll(u.stateDir))
	}
	u.hub.end()
	return err
}

func readPid(path string) (pid int, err error) {
	b, err := os.ReadFile(path)
	if err == nil {
		_, err = fmt.Sscanf(string(b), "%d", &pid)
	}
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("cannot learn the process of a container: %w", errors.Join(err, fs.ErrInvalid))
	}
	return pid, nil
}
