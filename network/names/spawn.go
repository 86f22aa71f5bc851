package names

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// connect takes hold of a process of this client's version. One of another
// version is ended: it may have faults that this one has not.
func (c *Client) connect(ctx context.Context) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var died <-chan error
	tick := time.NewTicker(5 * time.Millisecond) // no event tells that a socket listens, or that a lock is free
	defer tick.Stop()
	for {
		held, version, err := c.hold(ctx)
		switch {
		case err == nil && version == c.cfg.Version:
			return held, nil
		case err == nil:
			c.cfg.Logger.Info("replacing the process that resolves names by one of this version", "op", "names", "was", version)
			err = c.ask(ctx, http.MethodDelete, "/", nil, nil)
			_, _ = io.Copy(io.Discard, held)
			held.Close()
			if err != nil && ctx.Err() != nil {
				return nil, err
			}
			died = nil
		case died == nil:
			if died, err = c.spawn(); err != nil {
				return nil, fmt.Errorf("cannot start the process that resolves names: %w", err)
			}
		}
		select {
		case <-tick.C:
		case <-died:
			died = nil // maybe the one before it was not gone yet
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot start the process that resolves names: %w", ctx.Err())
		}
	}
}

// hold connects to the process and learns its version. What is returned ends
// with the process, and is not bound to ctx.
func (c *Client) hold(ctx context.Context) (held io.ReadCloser, version string, err error) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	r, err := http.NewRequestWithContext(lasting, http.MethodGet, "http://names/hold", nil)
	if err != nil {
		cancel()
		return nil, "", err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		cancel()
		return nil, "", err
	}
	var g greeting
	err = json.NewDecoder(answer.Body).Decode(&g)
	if !stop() || err != nil {
		cancel()
		answer.Body.Close()
		return nil, "", errors.Join(err, ctx.Err())
	}
	return &hold{answer.Body, cancel}, g.Version, nil
}

// hold is a connection that lasts as long as both ends want it to.
type hold struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (h *hold) Close() error {
	h.cancel()
	return h.ReadCloser.Close()
}

// spawn starts a process in a session of its own, which goes on without this
// one. died tells when it has ended.
func (c *Client) spawn() (died <-chan error, err error) {
	if err := os.MkdirAll(c.cfg.RunDir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(c.cfg.RunDir, logName), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := append(c.cfg.Command[1:len(c.cfg.Command):len(c.cfg.Command)],
		"--run-dir", c.cfg.RunDir, "--resolv-conf", c.cfg.ResolvConf, "--version", c.cfg.Version)
	cmd := exec.Command(c.cfg.Command[0], args...)
	cmd.Dir, cmd.Stderr = "/", log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end := make(chan error, 1)
	// The only goroutine that outlives Close: it ends with the process, which
	// may well outlive this one.
	go func() { end <- cmd.Wait() }()
	return end, nil
}
