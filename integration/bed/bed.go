package bed

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/rack"
)

// Bed is a rack with a registry beside it and a docker client of its own.
type Bed struct {
	Dir     string   // the rack's folder
	Address string   // HOST:PORT of the registry
	Image   string   // busybox, in the registry
	Env     []string // points docker at the rack as one account
	Program string   // the docker client; "" is the one in PATH

	binary   string   // the program under test
	options  []string // of spearhead dev up
	registry *Registry
}

// Up is spearhead dev up, as a developer calls it; again, where the rack stands already.
func (b *Bed) Up(ctx context.Context) error {
	if _, err := b.Dev(ctx, append([]string{"up"}, b.options...)...); err != nil {
		return err
	}
	r, err := rack.Load(b.Dir)
	if err != nil {
		return err
	}
	settings, err := r.Env("", "")
	if err != nil {
		return err
	}
	b.Env = append(CleanEnv(), append(settings, "DOCKER_CONFIG="+filepath.Join(b.Dir, "..", filepath.Base(b.Dir)+"-docker"))...)
	return nil
}

// With is the bed as another docker client meets it, with settings added to its environment.
// program is a path; "" keeps the client.
func (b *Bed) With(program string, settings ...string) *Bed {
	other := *b
	other.Env = append(slices.Clone(b.Env), settings...)
	if program != "" {
		other.Program = program
	}
	return &other
}

// astray are the beginnings of settings that would lead docker or compose astray; the last
// two make docker-py trust others than the CA that it is given.
var astray = []string{"DOCKER_", "COMPOSE_", "REQUESTS_CA_BUNDLE=", "CURL_CA_BUNDLE="}

// CleanEnv is this process's environment without what would lead clients astray.
func CleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return slices.ContainsFunc(astray, func(begin string) bool { return strings.HasPrefix(setting, begin) })
	})
}

// Dev calls spearhead dev for the bed's rack and returns what it printed.
func (b *Bed) Dev(ctx context.Context, args ...string) (string, error) {
	return b.Spearhead(ctx, nil, append([]string{"dev", args[0], "--dir", b.Dir}, args[1:]...)...)
}

// Fault calls spearhead dev fault, which must succeed.
func (b *Bed) Fault(t *testing.T, verb, host string) {
	t.Helper()
	if _, err := b.Dev(t.Context(), "fault", verb, host); err != nil {
		t.Fatal(err)
	}
}

// Spearhead calls the program under test, with env added to this process's environment.
func (b *Bed) Spearhead(ctx context.Context, env []string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, b.binary, args...)
	command.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("spearhead %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// Close ends the registry and the rack.
func (b *Bed) Close() error {
	if b.registry != nil {
		_ = b.registry.Close() // it may have ended
	}
	if _, err := rack.Remains(b.Dir); err != nil {
		return nil
	}
	_, err := b.Dev(context.Background(), "down")
	return err
}

// Setting is one of those that spearhead dev env gives, or "".
func (b *Bed) Setting(name string) string {
	for _, setting := range slices.Backward(b.Env) {
		if value, ok := strings.CutPrefix(setting, name+"="); ok {
			return value
		}
	}
	return ""
}

// RunDir is the rack's folder in /run, which holds a folder for each host.
func (b *Bed) RunDir() string {
	return filepath.Dir(filepath.Dir(b.Setting("SPEARHEAD_SOCKET")))
}

// Index is the number by which the rack's things are named.
func (b *Bed) Index() string { return filepath.Base(b.RunDir()) }
