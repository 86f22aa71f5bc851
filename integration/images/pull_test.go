package images

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

func TestPull(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	name := r.address + "/team/app"
	pushed(t, b, r, "team/app", "latest", "v1")
	forget(t, b, name, name+":v1")

	t.Run("a tag", func(t *testing.T) {
		sane(t, b.Docker(t, "pull", name+":v1"), name+":v1", "Downloaded newer image")
		again := b.Docker(t, "pull", name+":v1")
		if want := "Status: Image is up to date for " + name + ":v1"; !strings.Contains(again, want) {
			t.Errorf("a second pull says %q, which lacks %q", again, want)
		}
		if out := b.Docker(t, "run", "--rm", name+":v1", "cat", "/etc/made-for"); out != name+":v1" {
			t.Errorf("the image holds %q", out)
		}
	})
	t.Run("no tag", func(t *testing.T) {
		out := b.Docker(t, "pull", name)
		if !strings.Contains(out, "Using default tag: latest") {
			t.Errorf("it says %q", out)
		}
		b.Inspect(t, name+":latest", "{{.Id}}")
	})
	t.Run("a digest", func(t *testing.T) {
		digest := digestOf(t, b, name+":v1")
		b.Docker(t, "rmi", name+":v1")
		out := b.Docker(t, "pull", name+"@"+digest)
		if !strings.Contains(out, "Digest: "+digest) {
			t.Errorf("it says %q", out)
		}
		if got := b.Inspect(t, name+"@"+digest, "{{.RepoTags}} {{.RepoDigests}}"); got != fmt.Sprintf("[] [%s@%s]", name, digest) {
			t.Errorf("the image is called %s", got)
		}
		b.Docker(t, "rmi", name+"@"+digest)
	})
	t.Run("all tags", func(t *testing.T) {
		out := b.Docker(t, "pull", "-a", name)
		for _, tag := range []string{"latest", "v1"} {
			if want := tag + ": Pulling from team/app"; !strings.Contains(out, want) {
				t.Errorf("it says %q, which lacks %q", out, want)
			}
			b.Inspect(t, name+":"+tag, "{{.Id}}")
		}
	})
	t.Run("a platform", func(t *testing.T) {
		b.Docker(t, "pull", "--platform", "linux/"+runtime.GOARCH, name+":v1")
		foreign := "s390x"
		said := refused(t, b, "pull", "--platform", "linux/"+foreign, name+":v1")
		if !strings.Contains(said, foreign) || strings.Contains(said, "internal") {
			t.Errorf("for a foreign platform it says %q", said)
		}
	})
}

func TestPullOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	pushed(t, b, r, "app", "1")
	for ref, want := range map[string]string{
		r.address + "/app:2":      "manifest for " + r.address + "/app:2 not found: manifest unknown",
		r.address + "/nothing:1":  "not found",
		freeHost(t, b) + "/app:1": "cannot be reached",
	} {
		said := refused(t, b, "pull", ref)
		if !strings.Contains(said, want) || !strings.HasPrefix(said, "Error response from daemon: ") {
			t.Errorf("docker pull %s says %q, want %q", ref, said, want)
		}
	}
	refusedWith(t, b, "No such image: "+r.address+"/never-pulled:1", "image", "inspect", r.address+"/never-pulled:1")
	refusedWith(t, b, "invalid reference format", "pull", "Not:A:Name")
}

// TestPullOnATerminal has the progress bars that people see.
func TestPullOnATerminal(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	pushed(t, b, r, "bars", "1")
	name := r.address + "/bars:1"
	forget(t, b, name)
	screen := b.Terminal(t, "pull", name)
	screen.Expect(t, "Status: Downloaded newer image for "+name)
	if err := screen.Wait(); err != nil {
		t.Errorf("docker pull ended with %v", err)
	}
	if shown := screen.Shown(); !strings.Contains(shown, "Pull complete") && !strings.Contains(shown, "Already exists") {
		t.Errorf("the terminal shows %q", shown)
	}
}

var (
	layerLine = regexp.MustCompile(`^[0-9a-f]{12}: (Pulling fs layer|Waiting|Downloading|Verifying Checksum|Download complete|Extracting|Pull complete|Already exists)$`)
	endOfPull = regexp.MustCompile(`^Digest: sha256:[0-9a-f]{64}\nStatus: (.*)\n(.*)$`)
)

// sane fails unless the text is that of a pull: a heading, lines of layers each of which
// comes to an end, the digest, and what became of it.
func sane(t *testing.T, said, name, status string) {
	t.Helper()
	_, rest, ok := strings.Cut(said, "Pulling from ")
	_, rest, more := strings.Cut(rest, "\n")
	at := strings.Index(rest, "Digest: ")
	if !ok || !more || at < 0 {
		t.Fatalf("docker pull says %q", said)
	}
	last := map[string]string{}
	for line := range strings.Lines(rest[:at]) {
		line = strings.TrimSpace(line)
		if !layerLine.MatchString(line) {
			t.Errorf("docker pull says %q, in %q", line, said)
		}
		id, step, _ := strings.Cut(line, ": ")
		last[id] = step
	}
	for id, step := range last {
		if step != "Pull complete" && step != "Already exists" {
			t.Errorf("the last that is said of layer %s is %q", id, step)
		}
	}
	end := endOfPull.FindStringSubmatch(rest[at:])
	if end == nil || end[1] != status+" for "+name || end[2] != name {
		t.Errorf("docker pull ends with %q", rest[at:])
	}
}

// digestOf is the digest that a registry has an image's name under.
func digestOf(t *testing.T, b *bed.Bed, name string) string {
	t.Helper()
	digests := b.Inspect(t, name, "{{range .RepoDigests}}{{println .}}{{end}}")
	repository := name[:strings.LastIndex(name, ":")]
	for line := range strings.Lines(digests) {
		if digest, ok := strings.CutPrefix(strings.TrimSpace(line), repository+"@"); ok {
			return digest
		}
	}
	t.Fatalf("%s has the digests %q", name, digests)
	return ""
}

// freeHost is an address beside the rack's hosts where nobody listens.
func freeHost(t *testing.T, b *bed.Bed) string {
	t.Helper()
	l := newLink(t, besideHosts(t, b), "")
	l.close()
	return l.address
}
