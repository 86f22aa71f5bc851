package iod

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Config says where the supervisor keeps its things.
type Config struct {
	RunDir   string // sockets, FIFOs and the records of what runs
	StateDir string // settings, logs and exit records of containers
	Logger   *slog.Logger
}

// Main serves until ctx ends. What it supervises runs on without it, and is
// taken over by the next one. Only one can serve a RunDir.
func Main(ctx context.Context, cfg Config) error {
	if len(cfg.RunDir) > 80 {
		return fmt.Errorf("cannot serve: the run directory's path is longer than the 80 bytes that its sockets leave it")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for _, dir := range []string{cfg.RunDir, filepath.Join(cfg.RunDir, UnitsName), filepath.Join(cfg.StateDir, ContainerName)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot serve: %w", err)
		}
	}
	lock, err := lockAlone(filepath.Join(cfg.RunDir, "iod.lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	held, err := inherited()
	if err != nil {
		return err
	}
	s, err := newSupervisor(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	hold, err := listen(cfg.RunDir, HoldName, "unixpacket")
	if err != nil {
		return err
	}
	defer hold.Close()
	s.adoptAll(held)
	s.work.Go(func() { s.keeper.serve(s.ctx, hold) })
	api, err := listen(cfg.RunDir, SocketName, "unix")
	if err != nil {
		return err
	}
	return s.serve(api)
}

func lockAlone(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot serve: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot serve: another supervisor does: %w", err)
	}
	return f, nil
}

// listen makes a socket that only root can reach. It takes its name when it is
// ready, so that nobody finds the socket of a supervisor that is gone.
func listen(dir, name, network string) (*net.UnixListener, error) {
	temp := filepath.Join(dir, "."+name)
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: temp, Net: network})
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(temp, 0o600), os.Rename(temp, filepath.Join(dir, name))); err != nil {
		l.Close()
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return l, nil
}

func (s *supervisor) serve(l net.Listener) error {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(s.ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve: %w", err)
	}
	return nil
}
