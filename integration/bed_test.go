package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/internal/seedimage"
	"github.com/spearheadcloud/spearhead/rack"
)

// bed is a rack with a registry beside it and a docker client of its own.
type bed struct {
	dir      string
	options  []string // of spearhead dev up
	registry *exec.Cmd
	address  string   // HOST:PORT of the registry
	image    string   // busybox, in the registry
	env      []string // points docker at the rack as one account
}

// busyboxName is the small image in every bed's registry.
const busyboxName = "tests/busybox:1"

// newBed brings up a rack in dir with the given options, and its registry.
func newBed(ctx context.Context, dir string, options ...string) (*bed, error) {
	b := &bed{dir: dir, options: options}
	if err := b.up(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if err := b.startRegistry(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	b.image = b.address + "/" + busyboxName
	if err := pushBusybox(ctx, b.image); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// up is spearhead dev up, as a developer calls it.
func (b *bed) up(ctx context.Context) error {
	if _, err := b.dev(ctx, append([]string{"up"}, b.options...)...); err != nil {
		return err
	}
	r, err := rack.Load(b.dir)
	if err != nil {
		return err
	}
	settings, err := r.Env("")
	if err != nil {
		return err
	}
	b.env = append(cleanEnv(), append(settings, "DOCKER_CONFIG="+filepath.Join(b.dir, "..", filepath.Base(b.dir)+"-docker"))...)
	return nil
}

// cleanEnv is this process's environment without what would lead docker astray.
func cleanEnv() []string {
	var env []string
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "DOCKER_") {
			env = append(env, setting)
		}
	}
	return env
}

// dev calls spearhead dev for the bed's rack.
func (b *bed) dev(ctx context.Context, args ...string) (string, error) {
	return spearhead(ctx, nil, append([]string{"dev", args[0], "--dir", b.dir}, args[1:]...)...)
}

// spearhead calls the program under test.
func spearhead(ctx context.Context, env []string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, setting.binary, args...)
	command.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("spearhead %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// close ends the registry and the rack.
func (b *bed) close() error {
	if b.registry != nil {
		_ = b.registry.Process.Kill()
		_ = b.registry.Wait()
	}
	if _, err := rack.Load(b.dir); err != nil {
		return nil
	}
	_, err := b.dev(context.Background(), "down")
	return err
}

// host is the address of the rack's head, and gateway this machine's address beside it.
func (b *bed) gateway() (string, error) {
	for _, setting := range b.env {
		if host, ok := strings.CutPrefix(setting, "DOCKER_HOST=tcp://"); ok {
			return machineAddressBeside(host)
		}
	}
	return "", errors.New("spearhead dev env gives no DOCKER_HOST")
}

// startRegistry runs Debian's registry on the rack's underlay.
func (b *bed) startRegistry(ctx context.Context) error {
	gateway, err := b.gateway()
	if err != nil {
		return err
	}
	b.address = gateway + ":5000"
	config := filepath.Join(filepath.Dir(b.dir), filepath.Base(b.dir)+"-registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", setting.images, b.address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	b.registry = exec.Command("docker-registry", "serve", config)
	if err := b.registry.Start(); err != nil {
		return fmt.Errorf("cannot start the registry: %w", err)
	}
	return poll(ctx, 20*time.Second, func() error {
		answer, err := http.Get("http://" + b.address + "/v2/")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
}

func pushBusybox(ctx context.Context, ref string) error {
	folder, err := os.MkdirTemp("", "busybox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	if err := seedimage.Busybox(ctx, folder); err != nil {
		return err
	}
	return seedimage.Push(ctx, ref, folder, seedimage.Config{
		Cmd: []string{"/bin/sh"}, Env: []string{"PATH=/bin", "FROM_IMAGE=yes"}, Labels: map[string]string{"made.by": "tests"},
	})
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

// eventually fails the test if the condition does not come true.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	if err := poll(t.Context(), 60*time.Second, try); err != nil {
		t.Fatal(err)
	}
}
