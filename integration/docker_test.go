package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// outcome is what a docker command did.
type outcome struct {
	stdout, stderr string
	code           int
}

// command prepares a call of the real docker client.
func (b *bed) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return newDocker(t.Context(), b.env, args...)
}

// try calls docker and tells how it went.
func (b *bed) try(t *testing.T, args ...string) outcome {
	t.Helper()
	command := b.command(t, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return outcome{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// docker calls docker, which must succeed, and returns what it printed, trimmed.
func (b *bed) docker(t *testing.T, args ...string) string {
	t.Helper()
	done := b.try(t, args...)
	if done.code != 0 {
		t.Fatalf("docker %s: exit code %d: %s%s", strings.Join(args, " "), done.code, done.stdout, done.stderr)
	}
	return strings.TrimSpace(done.stdout)
}

// run starts a container in the background, and removes it when the test ends.
func (b *bed) run(t *testing.T, args ...string) string {
	t.Helper()
	id := b.docker(t, append([]string{"run", "-d"}, args...)...)
	t.Cleanup(func() { b.remove(t, id) })
	return id
}

// remove removes a container at the end of a test, if the test has not. It uses a command
// of its own, for the test's context has ended by then.
func (b *bed) remove(t *testing.T, container string) {
	t.Helper()
	command := newDocker(context.Background(), b.env, "rm", "-f", "-v", container)
	if out, err := command.CombinedOutput(); err != nil && !strings.Contains(string(out), "No such container") {
		t.Errorf("docker rm -f %s: %v: %s", container, err, out)
	}
}

// inspect formats a container's inspection.
func (b *bed) inspect(t *testing.T, container, format string) string {
	t.Helper()
	return b.docker(t, "inspect", "--format", format, container)
}

// address is a container's own.
func (b *bed) addressOf(t *testing.T, container string) string {
	t.Helper()
	return b.inspect(t, container, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
}

// logged waits until a container's log holds the text.
func (b *bed) logged(t *testing.T, container, text string) {
	t.Helper()
	eventually(t, func() error {
		done := b.try(t, "logs", container)
		if !strings.Contains(done.stdout+done.stderr, text) {
			return fmt.Errorf("the log of %s lacks %q: %s%s", container, text, done.stdout, done.stderr)
		}
		return nil
	})
}

// newDocker is a docker client with an environment of its own.
func newDocker(ctx context.Context, env []string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "docker", args...)
	command.Env = env
	return command
}

// exited is nil if the container has ended.
func (b *bed) exited(t *testing.T, container string) error {
	t.Helper()
	done := b.try(t, "inspect", "--format", "{{.State.Status}}", container)
	if strings.TrimSpace(done.stdout) != "exited" {
		return fmt.Errorf("%s is %s%s", container, done.stdout, done.stderr)
	}
	return nil
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("%q is not a process id", text)
	}
	return n
}
