package images

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestOtherDockers has docker clients of other ages do what people do with images.
func TestOtherDockers(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{
		"docker-v1.8.*": nil,
		"docker-v29.*":  nil,
		"":              {"DOCKER_API_VERSION=1.24"},
	} {
		t.Run(name+strings.Join(settings, ""), func(t *testing.T) {
			t.Parallel()
			program := ""
			if name != "" {
				program = bed.Installed(t, name)
			}
			settings = append(settings, "DOCKER_CONFIG="+t.TempDir())
			everyday(t, setting.Shared(t).With(program, settings...))
		})
	}
}

// everyday is what every docker can do with images and a registry with a login.
func everyday(t *testing.T, b *bed.Bed) {
	t.Helper()
	r := newRegistry(t, b, registryOptions{htpasswd: true, ca: known})
	name := r.address + "/joes/app"
	fresh(t, b, name+":1")
	forget(t, setting.Shared(t), name+":1", name+":2", name+":3", name+":4")
	loggedInSince18(t, b, r.address)
	b.Docker(t, "tag", name+":1", name+":2")
	if out := b.Docker(t, "push", name+":2"); !pushedLine.MatchString(out) {
		t.Errorf("docker push says %q", out)
	}
	b.Docker(t, "rmi", name+":1", name+":2")
	if out := b.Docker(t, "pull", name+":2"); !strings.Contains(out, "Status: Downloaded newer image for "+name+":2") {
		t.Errorf("docker pull says %q", out)
	}
	if out := b.Docker(t, "run", "--rm", name+":2", "cat", "/etc/made-for"); out != name+":1" {
		t.Errorf("the image holds %q", out)
	}
	if out := b.Docker(t, "images", name); !strings.Contains(out, "2") || !strings.Contains(out, name) {
		t.Errorf("docker images says %q", out)
	}
	if out := b.Docker(t, "history", "-q", "--no-trunc", name+":2"); !strings.HasPrefix(out, "sha256:") && len(out) < 64 {
		t.Errorf("docker history says %q", out)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	b.Docker(t, "save", "-o", file, name+":2")
	b.Docker(t, "rmi", name+":2")
	b.Docker(t, "load", "-i", file)
	b.Docker(t, "inspect", name+":2")
	refusedWith(t, b, "has no search", "search", r.address+"/app")
	b.Docker(t, "logout", r.address)
	refusedWith(t, b, "pull access denied for "+name, "pull", name+":2")
}

// loggedInSince18 logs in as dockers of all ages can: those before 1.11 want an email, and
// none before 17.07 reads a password from its input.
func loggedInSince18(t *testing.T, b *bed.Bed, server string) {
	t.Helper()
	args := []string{"login", "-u", user, "-p", password}
	if strings.Contains(b.Program, "docker-v1.8") {
		args = append(args, "-e", "joe@example.com")
	}
	done := b.Try(t, append(args, server)...)
	if done.Code != 0 || !strings.Contains(done.Stdout+done.Stderr, "Login Succeeded") {
		t.Fatalf("docker login: %+v", done)
	}
}
