package bed

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Outcome is what a docker command did.
type Outcome struct {
	Stdout, Stderr string
	Code           int
}

// limit is how long one call of docker may take before it counts as hanging.
const limit = Patience

// Command prepares a call of the docker client, which is killed when the test has ended.
func (b *Bed) Command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return b.Client(ctx, args...)
}

// Client prepares a call of the docker client, which is killed when the context ends.
func (b *Bed) Client(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, cmp.Or(b.Program, "docker"), args...)
	command.Env = b.Env
	return command
}

// Try calls docker and tells how it went.
func (b *Bed) Try(t *testing.T, args ...string) Outcome {
	t.Helper()
	command := b.Command(t, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return Outcome{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// Docker calls docker, which must succeed, and returns what it printed, trimmed.
func (b *Bed) Docker(t *testing.T, args ...string) string {
	t.Helper()
	done := b.Try(t, args...)
	if done.Code != 0 {
		t.Fatalf("docker %s: exit code %d: %s%s", strings.Join(args, " "), done.Code, done.Stdout, done.Stderr)
	}
	return strings.TrimSpace(done.Stdout)
}

// Run starts a container in the background, and removes it when the test ends.
func (b *Bed) Run(t *testing.T, args ...string) string {
	t.Helper()
	id := b.Docker(t, append([]string{"run", "-d"}, args...)...)
	t.Cleanup(func() { b.Remove(t, id) })
	return id
}

// Remove removes a container at the end of a test, if the test has not. It uses a command
// of its own, for the test's context has ended by then.
func (b *Bed) Remove(t *testing.T, container string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	command := b.Client(ctx, "rm", "-f", "-v", container)
	if out, err := command.CombinedOutput(); err != nil && !strings.Contains(strings.ToLower(string(out)), "no such container") {
		t.Errorf("docker rm -f %s: %v: %s", container, err, out)
	}
}

// Inspect formats a container's inspection.
func (b *Bed) Inspect(t *testing.T, container, format string) string {
	t.Helper()
	return b.Docker(t, "inspect", "--format", format, container)
}

// AddressOf is a container's own.
func (b *Bed) AddressOf(t *testing.T, container string) string {
	t.Helper()
	return b.Inspect(t, container, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
}

// Logged waits until a container's log holds the text.
func (b *Bed) Logged(t *testing.T, container, text string) {
	t.Helper()
	Eventually(t, func() error {
		done := b.Try(t, "logs", container)
		if !strings.Contains(done.Stdout+done.Stderr, text) {
			return fmt.Errorf("the log of %s lacks %q: %s%s", container, text, done.Stdout, done.Stderr)
		}
		return nil
	})
}

// Exited is nil if the container has ended.
func (b *Bed) Exited(t *testing.T, container string) error {
	t.Helper()
	done := b.Try(t, "inspect", "--format", "{{.State.Status}}", container)
	if strings.TrimSpace(done.Stdout) != "exited" {
		return fmt.Errorf("%s is %s%s", container, done.Stdout, done.Stderr)
	}
	return nil
}
