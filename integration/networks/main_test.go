package networks

import (
	"os"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting = bed.Setting{Options: []string{"--nodes", "3"}}

func TestMain(m *testing.M) { os.Exit(setting.Main(m)) }

// unique is a name for what this test alone makes.
func unique(t *testing.T) string {
	return strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(strings.TrimPrefix(t.Name(), "Test")))
}

// network makes a network, and removes it when the test ends.
func network(t *testing.T, b *bed.Bed, args ...string) string {
	t.Helper()
	id := b.Docker(t, append([]string{"network", "create"}, args...)...)
	t.Cleanup(func() { removeNetwork(t, b, id) })
	return id
}

// removeNetwork removes a network, also one that the test has removed.
func removeNetwork(t *testing.T, b *bed.Bed, id string) {
	t.Helper()
	done := b.Client(afterTest(t), "network", "rm", "-f", id)
	if out, err := done.CombinedOutput(); err != nil {
		t.Errorf("docker network rm: %s", out)
	}
}

// serve starts a container that tells its own name by HTTP on port 80.
func serve(t *testing.T, b *bed.Bed, name string, args ...string) string {
	t.Helper()
	script := `mkdir -p /www && hostname > /www/index.html && exec httpd -f -p 80 -h /www`
	args = append([]string{"--name", name, "--hostname", name}, args...)
	return b.Run(t, append(args, b.Image, "sh", "-c", script)...)
}

// get asks for a page from inside of a container, for three seconds at most.
func get(t *testing.T, b *bed.Bed, container, host string) (page string, ok bool) {
	t.Helper()
	done := b.Try(t, "exec", container, "timeout", "3", "wget", "-q", "-O", "-", "http://"+host+"/")
	return strings.TrimSpace(done.Stdout), done.Code == 0
}
