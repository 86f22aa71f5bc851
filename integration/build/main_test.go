package build

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting bed.Setting

// missing says why nothing can be built here.
var missing string

func TestMain(m *testing.M) {
	printed, err := exec.Command("../../scripts/buildkit", "where").Output()
	where := strings.TrimSpace(string(printed))
	if _, there := os.Stat(filepath.Join(where, "spearhead-buildkitd")); err != nil || there != nil {
		missing = "needs spearhead-buildkitd: build it with scripts/buildkit"
		os.Exit(m.Run())
	}
	// The rack's agents inherit it.
	if err := os.Setenv("PATH", where+":"+os.Getenv("PATH")); err != nil {
		panic(err)
	}
	os.Exit(setting.Main(m))
}

// builder is one way to build an image.
type builder struct {
	name string
	bed  *bed.Bed
}

// builders are the ways to build, each with the shared rack.
func builders(t *testing.T) []builder {
	t.Helper()
	if missing != "" {
		t.Skip(missing)
	}
	shared := setting.Shared(t)
	all := []builder{{"classic", shared.With("", "DOCKER_CONFIG="+emptyConfig(t), "DOCKER_BUILDKIT=0")}}
	if buildx(t) != "" {
		all = append(all, builder{"buildx", shared.With("", "DOCKER_CONFIG="+emptyConfig(t), "DOCKER_BUILDKIT=1")})
	}
	return all
}

// buildx is the file of the plugin, "" where there is none.
func buildx(t *testing.T) string {
	t.Helper()
	printed, err := exec.Command("../../scripts/clients", "where").Output()
	if err != nil {
		return ""
	}
	found, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(printed)), "buildx-*")) // the pattern is sound
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// folder makes a build's context of files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// built builds an image, which is removed when the test ends, and returns what
// the client printed.
func (b builder) built(t *testing.T, name, dir string, args ...string) string {
	t.Helper()
	done := b.bed.Try(t, append([]string{"build", "-t", name}, append(args, dir)...)...)
	if done.Code != 0 {
		t.Fatalf("cannot build %s: %s%s", name, done.Stdout, done.Stderr)
	}
	t.Cleanup(func() { b.bed.Client(afterTest(t), "rmi", "-f", name).Run() }) // the test may have removed it
	return done.Stdout + done.Stderr
}

// emptyConfig is a folder of docker's settings, without logins, that has the
// plugin.
func emptyConfig(t *testing.T) string {
	t.Helper()
	config := t.TempDir()
	plugin := buildx(t)
	if plugin == "" {
		return config
	}
	if err := os.Mkdir(filepath.Join(config, "cli-plugins"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(plugin, filepath.Join(config, "cli-plugins", "docker-buildx")); err != nil {
		t.Fatal(err)
	}
	return config
}

// afterTest bounds what cleans up when a test's own context has ended.
func afterTest(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
