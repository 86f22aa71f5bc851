package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// A guardian keeps a supervisor alive: it starts it when there is none, holds
// its descriptors a second time, and gives them to the next one when it dies.
type guardian struct {
	cfg    Config
	logger *slog.Logger
	cancel context.CancelFunc
	work   sync.WaitGroup
	held   map[string]int // key → descriptor; of the goroutine that runs, or of guard before it does
	iod    int            // pid of the supervisor that was started last, 0 for none; of the same goroutine
	ended  chan struct{}  // closed when that one has ended and was waited for; nil for none; of the same goroutine

	mu    sync.Mutex
	ready chan struct{} // closed while a supervisor answers
	lost  chan struct{} // closed when the one that answered is found to be gone
}

func newGuardian(cfg Config) *guardian {
	return &guardian{cfg: cfg, logger: cfg.Logger, held: map[string]int{}, ready: make(chan struct{}), lost: make(chan struct{})}
}

// open finds or starts a supervisor and guards it until close.
func (g *guardian) open(ctx context.Context) error {
	if err := adoptOrphans(); err != nil {
		return err
	}
	conn, err := g.connect(ctx)
	if err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g.cancel = cancel
	g.setReady(true)
	g.work.Go(func() { g.guard(background, conn) })
	return nil
}

// close lets go of the supervisor, which goes on.
func (g *guardian) close() {
	if g.cancel != nil {
		g.cancel()
	}
	g.work.Wait()
	for _, fd := range g.held {
		unix.Close(fd)
	}
	clear(g.held)
}

func (g *guardian) guard(ctx context.Context, conn *net.UnixConn) {
	for {
		g.hold(ctx, conn)
		if ctx.Err() != nil {
			return
		}
		g.awaitEnd(ctx)
		g.reapOrphans(true)
		g.setReady(false)
		g.logger.Warn("supervisor is gone; taking its place", "op", "iod")
		var err error
		for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
			if conn, err = g.connect(ctx); err == nil {
				break
			}
			g.logger.Error("supervisor does not start", "op", "iod", "err", err)
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		g.setReady(true)
	}
}

// endLimit is how long a supervisor may take to end after its connection has.
const endLimit = 5 * time.Second

// awaitEnd waits until the supervisor has ended that this process started. Its
// connection closes before: a process of a container that dies meanwhile is
// its child still, and would come to us as a zombie that nothing tells us of.
func (g *guardian) awaitEnd(ctx context.Context) {
	if g.ended == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	select {
	case <-g.ended:
	case <-ctx.Done():
	}
}

// hold takes in what the supervisor gives until it is gone.
func (g *guardian) hold(ctx context.Context, conn *net.UnixConn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	defer wakeAtDeaths(conn)()
	for {
		key, fd, err := iod.ReceiveHeld(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if err := conn.SetReadDeadline(time.Time{}); err != nil {
				return
			}
			g.reapOrphans(false)
			continue
		}
		if err != nil {
			return
		}
		if old, ok := g.held[key]; ok {
			unix.Close(old)
			delete(g.held, key)
		}
		if fd >= 0 {
			g.held[key] = fd
		} else if isPidfd(key) {
			g.reapOrphans(false)
		}
	}
}

// wakeAtDeaths ends a read of conn whenever a child of this process dies, or
// comes to it dead, until the returned function is called.
func wakeAtDeaths(conn *net.UnixConn) (stop func()) {
	died, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(died, unix.SIGCHLD)
	var waking sync.WaitGroup
	waking.Go(func() {
		for {
			select {
			case <-died:
				_ = conn.SetReadDeadline(time.Now()) // a closed one has no more reads
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(died)
		close(done)
		waking.Wait()
	}
}

func (g *guardian) setReady(is bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if is {
		close(g.ready)
		return
	}
	g.ready = make(chan struct{})
	close(g.lost)
	g.lost = make(chan struct{})
}

// loss returns a channel that is closed when the present supervisor is found
// to be gone.
func (g *guardian) loss() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost
}

// await returns when a supervisor answers.
func (g *guardian) await(ctx context.Context) error {
	g.mu.Lock()
	ready := g.ready
	g.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connect reaches the supervisor's second-holder socket, and starts a
// supervisor if there is none.
func (g *guardian) connect(ctx context.Context) (*net.UnixConn, error) {
	if conn, err := g.dial(); err == nil {
		return conn, nil
	}
	died, err := g.spawn()
	if err != nil {
		return nil, fmt.Errorf("cannot start supervisor: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond) // no event tells that a socket listens
	defer tick.Stop()
	for {
		conn, err := g.dial()
		if err == nil {
			return conn, nil
		}
		select {
		case <-tick.C:
		case err := <-died:
			return nil, fmt.Errorf("cannot start supervisor: it ended: %w", err)
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot start supervisor: it does not answer: %w", err)
		}
	}
}

// dial succeeds when both sockets answer.
func (g *guardian) dial() (*net.UnixConn, error) {
	api, err := net.Dial("unix", filepath.Join(g.cfg.RunDir, iod.SocketName))
	if err != nil {
		return nil, err
	}
	api.Close()
	return net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: filepath.Join(g.cfg.RunDir, iod.HoldName), Net: "unixpacket"})
}

// spawn starts a supervisor in a session of its own, with all that is held. It
// is not made by os/exec, which would make the shared descriptors blocking.
func (g *guardian) spawn() (died <-chan error, err error) {
	if len(g.cfg.IodCommand) == 0 {
		return nil, errors.New("no command is configured")
	}
	path, err := exec.LookPath(g.cfg.IodCommand[0])
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	log, err := os.OpenFile(filepath.Join(g.cfg.StateDir, "iod.log"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	names, fds, err := g.heldFiles()
	if err != nil {
		return nil, err
	}
	defer unix.Close(names)
	argv := append(append([]string(nil), g.cfg.IodCommand...), "--run-dir", g.cfg.RunDir, "--state-dir", g.cfg.StateDir)
	attr := &syscall.ProcAttr{
		Dir:   "/",
		Env:   append(os.Environ(), iod.HeldFdsEnv+"="+strconv.Itoa(len(fds))),
		Files: append([]uintptr{null.Fd(), log.Fd(), log.Fd(), uintptr(names)}, fds...),
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return nil, err
	}
	g.iod = pid
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	end, ended := make(chan error, 1), make(chan struct{})
	g.ended = ended
	// The only goroutine that outlives close: it ends with the supervisor, which may
	// well outlive this process.
	go func() {
		state, err := process.Wait()
		close(ended)
		if err == nil {
			err = errors.New(state.String())
		}
		end <- err
	}()
	return end, nil
}

// heldFiles returns a memory file with the keys of all that is held, and the
// descriptors in the same order.
func (g *guardian) heldFiles() (names int, fds []uintptr, err error) {
	names, err = unix.MemfdCreate("held", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, nil, err
	}
	var text strings.Builder
	for key, fd := range g.held {
		text.WriteString(key + "\n")
		fds = append(fds, uintptr(fd))
	}
	if _, err := unix.Write(names, []byte(text.String())); err != nil {
		unix.Close(names)
		return -1, nil, err
	}
	return names, fds, nil
}
