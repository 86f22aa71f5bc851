package clients

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting bed.Setting

func TestMain(m *testing.M) {
	os.Exit(setting.Main(m))
}

// dockers are the docker clients that are tried.
var dockers = []struct {
	name     string
	api      int    // the minor number of the API that it speaks here
	file     string // in the folder of scripts/clients; "" is the docker in PATH
	settings []string
}{
	{"docker", 50, "", nil},
	{"docker-at-API-1.24", 24, "", []string{"DOCKER_API_VERSION=1.24"}},
	{"docker-1.8", 20, "docker-v1.8.*", nil},
	{"docker-29", 55, "docker-v29.*", nil},
}

// useCase is something that people do with docker.
type useCase struct {
	name  string
	since int // the minor number of the first API whose clients know the commands
	test  func(t *testing.T, b *bed.Bed)
}

// newest is since of what docker at API 1.24 refuses to send.
const newest = 50

// withEveryDocker tries each case with each docker client that knows its commands.
func withEveryDocker(t *testing.T, cases []useCase) {
	b := setting.Shared(t)
	for _, client := range dockers {
		t.Run(client.name, func(t *testing.T) {
			program := ""
			if client.file != "" {
				program = bed.Installed(t, client.file)
			}
			config := "DOCKER_CONFIG=" + t.TempDir()
			for _, c := range cases {
				if c.since > client.api {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.test(t, b.With(program, append(client.settings, config)...))
				})
			}
		})
	}
}

// inPath skips unless this machine has the program.
func inPath(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs %s: install it with scripts/clients", program)
	}
	return path
}

var noName = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// unique is a name for a container of this test alone.
func unique(t *testing.T) string {
	return strings.ToLower(noName.ReplaceAllString(strings.TrimPrefix(t.Name(), "Test"), "-"))
}

// afterTest bounds what cleans up when a test's own context has ended.
func afterTest() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}
