package names

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Files in the run directory.
const (
	socketName = "names.sock"
	lockName   = "names.lock"
	logName    = "names.log"
)

// idleEnd is after how long a process ends that nobody holds and that answers
// nobody.
const idleEnd = 10 * time.Second

// Config says what a process of names works with.
type Config struct {
	RunDir     string // holds its socket; made if need be
	ResolvConf string // names the node's name servers
	Version    string // of the program; a client of another one starts its own
}

// change is what a client tells: all networks, or those that differ.
type change struct {
	Whole    bool               `json:"whole,omitempty"`
	Networks map[string]Network `json:"networks,omitempty"`
	Gone     []string           `json:"gone,omitempty"`
}

// greeting is the first thing that a client hears.
type greeting struct {
	Version string `json:"version"`
}

// failure is an answer to what failed.
type failure struct {
	Text string `json:"error"`
}

// host is a House that others reach by a socket.
type host struct {
	*House
	version string
	ctx     context.Context
	end     context.CancelFunc

	mu      sync.Mutex
	holders int
	idle    *time.Timer
}

// Main has a House in this process, in whose network namespace the node's name
// servers are asked, and serves it on a socket that only root reaches. It
// returns when ctx ends, when a client has it end, or when it is of no use any
// more: nobody holds it and it answers nobody.
func Main(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(cfg.RunDir, 0o700); err != nil {
		return fmt.Errorf("cannot serve names: %w", err)
	}
	lock, err := lockAlone(filepath.Join(cfg.RunDir, lockName))
	if err != nil {
		return err
	}
	defer lock.Close()
	ns, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("cannot open own network namespace: %w", err)
	}
	defer ns.Close()
	house, err := NewHouse(ns, cfg.ResolvConf, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	defer house.Close()
	h := &host{House: house, version: cfg.Version}
	h.ctx, h.end = context.WithCancel(ctx)
	defer h.end()
	h.idle = time.AfterFunc(idleEnd, h.endIfIdle)
	defer h.idle.Stop()
	l, err := listen(filepath.Join(cfg.RunDir, socketName))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h.handler(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(h.ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve names: %w", err)
	}
	return nil
}

func lockAlone(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot serve names: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot serve names: another process does: %w", err)
	}
	return f, nil
}

// listen makes a socket that takes its name when it is ready, so that nobody
// finds the one of a process that is gone.
func listen(path string) (net.Listener, error) {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(temp, 0o600), os.Rename(temp, path)); err != nil {
		l.Close()
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return l, nil
}

func (h *host) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := f(r)
			if err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				answer = failure{err.Error()}
			}
			_ = json.NewEncoder(w).Encode(answer) // the caller sees a short answer as an error
		})
	}
	handle("PUT /containers/{id}", func(r *http.Request) (any, error) {
		var c Container
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			return nil, fmt.Errorf("cannot read request: %w", err)
		}
		return h.Serve(r.Context(), r.PathValue("id"), c)
	})
	handle("DELETE /containers/{id}", func(r *http.Request) (any, error) {
		defer h.restAwhile()
		return nil, h.Drop(r.Context(), r.PathValue("id"))
	})
	handle("PUT /containers", func(r *http.Request) (any, error) {
		var ids []string
		if err := json.NewDecoder(r.Body).Decode(&ids); err != nil {
			return nil, fmt.Errorf("cannot read request: %w", err)
		}
		return nil, h.Keep(r.Context(), ids)
	})
	handle("PUT /networks", func(r *http.Request) (any, error) {
		var c change
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			return nil, fmt.Errorf("cannot read request: %w", err)
		}
		if c.Whole {
			return nil, h.Tell(r.Context(), c.Networks)
		}
		return nil, h.change(c.Networks, c.Gone)
	})
	handle("GET /stats", func(r *http.Request) (any, error) { return h.Stats(r.Context()) })
	handle("DELETE /", func(*http.Request) (any, error) {
		h.end()
		return nil, nil
	})
	mux.HandleFunc("GET /hold", h.hold)
	return mux
}

// hold says which program this is, and lasts until one of both goes.
func (h *host) hold(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.holders++
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.holders--
		h.mu.Unlock()
		h.restAwhile()
	}()
	err := json.NewEncoder(w).Encode(greeting{h.version})
	if err != nil || http.NewResponseController(w).Flush() != nil {
		return
	}
	select {
	case <-r.Context().Done():
	case <-h.ctx.Done():
	}
}

// restAwhile ends the process after a while, should it be of no use then.
func (h *host) restAwhile() { h.idle.Reset(idleEnd) }

func (h *host) endIfIdle() {
	h.mu.Lock()
	held := h.holders > 0
	h.mu.Unlock()
	if !held && h.size() == 0 {
		h.end()
	}
}
