package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/internal/seedimage"
	"github.com/spearheadcloud/spearhead/rack"
)

// imageName is the image's in the registry beside the rack, and in dockerd.
const imageName = "spearhead-bench/busybox:1"

// busyboxFolder makes the one image's files, for both engines.
func busyboxFolder(ctx context.Context, work string) (string, error) {
	folder := filepath.Join(work, "busybox")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	return folder, seedimage.Busybox(ctx, folder)
}

// openRack builds the program and brings up a rack that holds the image.
func (s *stage) openRack(ctx context.Context, work, folder string) (*engine, error) {
	s.binary = filepath.Join(work, "spearhead")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", s.binary, "../../cmd/spearhead")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build the program: %w: %s", err, out)
	}
	dir := filepath.Join(work, "rack")
	s.closers = append(s.closers, func() error { return s.dev(context.Background(), "down", dir) })
	if err := s.dev(ctx, "up", dir); err != nil {
		return nil, err
	}
	r, err := rack.Load(dir)
	if err != nil {
		return nil, err
	}
	settings, err := r.Env("", "")
	if err != nil {
		return nil, err
	}
	e, err := newEngine(ours, settings)
	if err != nil {
		return nil, err
	}
	e.processes = func() ([]process, error) { return processesOfProgram(s.binary) }
	address, err := s.startRegistry(ctx, work, e.host)
	if err != nil {
		return nil, err
	}
	ref := address + "/" + imageName
	if err := seedimage.Push(ctx, ref, folder, seedimage.Config{Cmd: []string{"/bin/sh"}, Env: []string{"PATH=/bin"}}); err != nil {
		return nil, err
	}
	return e, e.pull(ctx, ref)
}

// dev is spearhead dev up or down for the rack in dir.
func (s *stage) dev(ctx context.Context, verb, dir string) error {
	out, err := exec.CommandContext(ctx, s.binary, "dev", verb, "--dir", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("spearhead dev %s: %w: %s", verb, err, out)
	}
	return nil
}

// startRegistry runs a registry on this machine's address beside the rack's head.
func (s *stage) startRegistry(ctx context.Context, work, host string) (address string, err error) {
	beside, err := addressBeside(strings.TrimPrefix(host, "tcp://"))
	if err != nil {
		return "", err
	}
	address = beside + ":5000"
	config := filepath.Join(work, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", filepath.Join(work, "registry"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", err
	}
	registry := exec.Command("docker-registry", "serve", config)
	if err := registry.Start(); err != nil {
		return "", fmt.Errorf("cannot start the registry: %w", err)
	}
	s.closers = append(s.closers, func() error {
		err := registry.Process.Kill()
		_ = registry.Wait() // says that it was killed
		return err
	})
	return address, poll(ctx, 20*time.Second, func() error {
		answer, err := http.Get("http://" + address + "/v2/")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
}

// addressBeside is this machine's address in the subnet of HOST:PORT.
func addressBeside(hostPort string) (string, error) {
	beside, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return "", err
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err == nil && prefix.Bits() > 0 && prefix.Contains(beside.Addr()) {
			return prefix.Addr().String(), nil
		}
	}
	return "", errors.New("this machine has no address beside the rack's head")
}

// poll repeats try, starting at once, until it succeeds or the time is up.
func poll(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-ticker.C:
		}
	}
}
