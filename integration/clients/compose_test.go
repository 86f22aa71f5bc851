package clients

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// composes are the two generations of compose, as a bed whose client they are.
var composes = map[string]func(t *testing.T) string{
	"docker-compose-1": func(t *testing.T) string { return inPath(t, "docker-compose") },
	"compose-5":        func(t *testing.T) string { return bed.Installed(t, "compose-v5.*") },
}

// published are the ports of the rack's address that the projects have: one is
// one container's at a time, as on a single docker host.
var published = map[string]string{"docker-compose-1": "8080", "compose-5": "8081"}

// project is a folder with a compose file of its own, whose name is the project's.
func project(t *testing.T, b *bed.Bed, file string) *bed.Bed {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "compose.yml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return b.With("", "COMPOSE_FILE="+path, "COMPOSE_PROJECT_NAME="+unique(t), "IMAGE="+b.Image, "DOCKER_CONFIG="+t.TempDir(), "NO_COLOR=1")
}

// TestCompose brings three services up, works with them and takes them down.
func TestCompose(t *testing.T) {
	shared := setting.Shared(t)
	for name, find := range composes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			docker := project(t, shared, "three.yml").With("", "PORT="+published[name])
			compose := docker.With(find(t))
			t.Cleanup(func() { removeProject(t, docker, unique(t)) })
			compose.Docker(t, "up", "-d")
			if got := services(t, docker); got != "db web worker" {
				t.Fatalf("after up, these run: %s", got)
			}
			if out := compose.Docker(t, "ps"); !strings.Contains(out, "web") || !strings.Contains(out, "healthy") {
				t.Errorf("compose ps:\n%s", out)
			}
			bed.Eventually(t, func() error {
				done := compose.Try(t, "exec", "-T", "web", "wget", "-q", "-O", "-", "http://db:5432/hosts")
				if done.Code != 0 || !strings.Contains(done.Stdout, "localhost") {
					return fmt.Errorf("the web service reads from the db %q", done.Stdout+done.Stderr)
				}
				return nil
			})
			if done := compose.Try(t, "exec", "-T", "worker", "wget", "-q", "-O", "-", "http://store:5432/hosts"); done.Code != 0 {
				t.Errorf("the worker finds no store: %s", done.Stderr)
			}
			if done := compose.Try(t, "exec", "-T", "worker", "wget", "-q", "-O", "-", "http://database:5432/hosts"); done.Code != 0 {
				t.Errorf("the worker's link leads nowhere: %s", done.Stderr)
			}
			if out := docker.Docker(t, "ps", "--filter", "label=com.docker.compose.service=db", "--filter", "label=com.docker.compose.project="+unique(t), "--format", "{{.Ports}}"); out != "5432/tcp" {
				t.Errorf("the port at a loopback address is shown as %s", out)
			}
			publishes(t, compose)
			compose.Docker(t, "up", "-d", "--scale", "worker=3")
			if got := services(t, docker); got != "db web worker worker worker" {
				t.Errorf("scaled, these run: %s", got)
			}
			followLogs(t, compose)
			compose.Docker(t, "restart", "-t", "0", "worker")
			compose.Docker(t, "up", "-d", "--scale", "worker=1")
			if got := services(t, docker); got != "db web worker" {
				t.Errorf("scaled down, these run: %s", got)
			}
			compose.Docker(t, "stop", "-t", "0", "worker")
			compose.Docker(t, "start", "worker")
			compose.Docker(t, "down", "-t", "0", "-v")
			for _, list := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}} {
				if got := docker.Docker(t, append(list, "--filter", "label=com.docker.compose.project="+unique(t))...); got != "" {
					t.Errorf("compose down left in docker %s: %s", list[0], got)
				}
			}
		})
	}
}

// publishes reads from this machine what the web service publishes.
func publishes(t *testing.T, compose *bed.Bed) {
	t.Helper()
	out := compose.Docker(t, "port", "web", "80")
	bed.Eventually(t, func() error {
		answer, err := http.Get("http://" + out + "/hosts")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", out, answer.Status)
		}
		return nil
	})
}

// services are those of the project that run, one word for each container.
func services(t *testing.T, docker *bed.Bed) string {
	t.Helper()
	out := docker.Docker(t, "ps", "--filter", "label=com.docker.compose.project="+unique(t), "--format", `{{.Label "com.docker.compose.service"}}`)
	words := strings.Fields(out)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// followLogs waits until all three workers have spoken in one followed log.
func followLogs(t *testing.T, compose *bed.Bed) {
	t.Helper()
	command := compose.Command(t, "logs", "-f", "--no-color", "worker")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	spoke := map[string]bool{}
	for lines := bufio.NewScanner(out); len(spoke) < 3 && lines.Scan(); {
		if who, what, cut := strings.Cut(lines.Text(), "|"); cut && strings.Contains(what, "at work") {
			spoke[strings.TrimSpace(who)] = true
		}
	}
	if err := command.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = command.Wait() // it was killed
	if len(spoke) < 3 {
		t.Errorf("these workers spoke in compose logs -f: %v", spoke)
	}
}

// removeProject removes what a failed test has left.
func removeProject(t *testing.T, docker *bed.Bed, name string) {
	t.Helper()
	ctx, cancel := afterTest()
	defer cancel()
	out, err := docker.Client(ctx, "ps", "-aq", "--filter", "label=com.docker.compose.project="+name).Output()
	if err != nil {
		t.Error(err)
	}
	for id := range strings.FieldsSeq(string(out)) {
		docker.Remove(t, id)
	}
	for _, prune := range [][]string{{"network", "prune", "-f"}, {"volume", "prune", "-af"}} {
		if out, err := docker.Client(ctx, append(prune, "--filter", "label=com.docker.compose.project="+name)...).CombinedOutput(); err != nil {
			t.Errorf("docker %s prune: %s", prune[0], out)
		}
	}
}
