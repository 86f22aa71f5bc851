package clients

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestDockerPy runs our script for docker-py at the oldest API that it speaks, and at the
// newest of both.
func TestDockerPy(t *testing.T) {
	b := setting.Shared(t)
	pythons := pythonsWithDocker(t)
	if len(pythons) == 0 {
		t.Skip("needs docker-py: install it with scripts/clients")
	}
	for version, python := range pythons {
		for name, api := range map[string]string{"oldest": python.oldest, "newest": "auto"} {
			t.Run(version+"/"+name, func(t *testing.T) {
				t.Parallel()
				script(t, b.With(python.program, "API_VERSION="+api), "everyday.py")
			})
		}
	}
}

// python is one that has docker-py.
type python struct {
	program string
	oldest  string // the oldest API that this docker-py speaks
}

// pythonsWithDocker are those of this machine by the version of docker-py: Debian's python is
// not always the first in PATH.
func pythonsWithDocker(t *testing.T) map[string]python {
	t.Helper()
	found := map[string]python{}
	for _, program := range []string{"/usr/bin/python3", "python3"} {
		out, err := exec.CommandContext(t.Context(), program, "-c",
			"import docker, docker.constants as c; print(docker.__version__, c.MINIMUM_DOCKER_API_VERSION)").Output()
		if words := strings.Fields(string(out)); err == nil && len(words) == 2 {
			found[words[0]] = python{program, words[1]}
		}
	}
	return found
}

// TestDockerode runs our script for dockerode, which sends paths without a version.
func TestDockerode(t *testing.T) {
	b := setting.Shared(t)
	modules := filepath.Join(filepath.Dir(bed.Installed(t, "dockerode/node_modules/dockerode/package.json")), "..")
	script(t, b.With(inPath(t, "node"), "NODE_PATH="+filepath.Clean(modules)), "everyday.js")
}

// script runs a program of ours in the language of the bed's client. It prints what it tries,
// and fails at what does not work.
func script(t *testing.T, b *bed.Bed, name string) {
	t.Helper()
	setting.Shared(t).Docker(t, "pull", b.Image)
	out, err := b.With("", "IMAGE="+b.Image, "PREFIX="+unique(t)).Command(t, filepath.Join("testdata", name)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	t.Logf("%s", out)
}
