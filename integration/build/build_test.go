package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// each runs a test with each way to build.
func each(t *testing.T, test func(*testing.T, builder)) {
	for _, b := range builders(t) {
		t.Run(b.name, func(t *testing.T) { test(t, b) })
	}
}

func TestImagesAreBuiltInStages(t *testing.T) {
	each(t, func(t *testing.T, b builder) {
		dir := folder(t, map[string]string{
			"Dockerfile": "FROM " + b.bed.Image + " AS first\nARG WHO=nobody\nCOPY . /all\nRUN echo \"hello $WHO\" >/made; ls /all >>/made\n" +
				"FROM " + b.bed.Image + " AS last\nCOPY --from=first /made /made\nLABEL kind=test\nENV X=1\nCMD [\"cat\", \"/made\"]\n" +
				"FROM scratch AS unused\nCOPY nothing /\n",
			".dockerignore": "hidden\n.dockerignore\nDockerfile", "seen": "", "hidden": "",
		})
		name := b.name + "-stages"
		b.built(t, name, dir, "--build-arg", "WHO=jill", "--label", "by=me", "--target", "last")
		if out := b.bed.Docker(t, "run", "--rm", name); out != "hello jill\nseen" {
			t.Errorf("it prints %q", out)
		}
		if out := b.bed.Docker(t, "inspect", "-f", "{{.Config.Labels.kind}} {{.Config.Labels.by}}", name); out != "test me" {
			t.Errorf("its labels are %q", out)
		}
		again := b.built(t, name, dir, "--build-arg", "WHO=jill", "--label", "by=me", "--target", "last")
		if !strings.Contains(strings.ToLower(again), "cache") {
			t.Errorf("nothing came from the cache: %s", again)
		}
	})
}

func TestBuildsBeginWithTheAccountsOwnImages(t *testing.T) {
	each(t, func(t *testing.T, b builder) {
		base := b.name + "-base:own"
		b.built(t, base, folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nRUN echo mine >/mine\n"}))
		b.built(t, b.name+"-upon", folder(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN cat /mine >/mine2\n"}))
		if out := b.bed.Docker(t, "run", "--rm", b.name+"-upon", "cat", "/mine2"); out != "mine" {
			t.Errorf("it holds %q", out)
		}
		other := b.bed.Tenant(t, b.name+"-stranger").With("", "DOCKER_BUILDKIT=0")
		done := other.Try(t, "build", folder(t, map[string]string{"Dockerfile": "FROM " + base + "\n"}))
		if done.Code == 0 {
			t.Error("another account builds with it")
		}
	})
}

func TestStepsAreOnTheAccountsNetwork(t *testing.T) {
	each(t, func(t *testing.T, b builder) {
		server := b.bed.Run(t, b.bed.Image, "sh", "-c", "mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www")
		address := b.bed.AddressOf(t, server)
		dir := folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nARG AT\nARG TRIES=100\nRUN for i in $(seq $TRIES); do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 $AT 80 >/got; grep -q served /got && exit 0; usleep 100000; done; exit 1\n"})
		b.built(t, b.name+"-net", dir, "--build-arg", "AT="+address)
		if out := b.bed.Docker(t, "run", "--rm", b.name+"-net", "tail", "-1", "/got"); out != "served" {
			t.Errorf("it fetched %q", out)
		}
		if done := b.bed.Try(t, "build", "--network", "none", "--no-cache", "--build-arg", "AT="+address, "--build-arg", "TRIES=1", dir); done.Code == 0 {
			t.Error("without a network it fetched all the same")
		}
	})
}

// TestStepsFindContainersByName has what containers have: a resolver that knows the account's.
func TestStepsFindContainersByName(t *testing.T) {
	each(t, func(t *testing.T, b builder) {
		found := b.name + "-found"
		server := b.bed.Run(t, "--name", found, b.bed.Image, "sleep", "1000")
		dir := folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nARG WHO\nRUN for i in $(seq 100); do nslookup $WHO >/answer && exit 0; usleep 100000; done; cat /etc/resolv.conf /answer; exit 1\n"})
		b.built(t, b.name+"-names", dir, "--build-arg", "WHO="+found)
		if out, want := b.bed.Docker(t, "run", "--rm", b.name+"-names", "cat", "/answer"), b.bed.AddressOf(t, server); !strings.Contains(out, want) {
			t.Errorf("asked for a container at %s, a step hears %q", want, out)
		}
	})
}

func TestFailuresAreTold(t *testing.T) {
	each(t, func(t *testing.T, b builder) {
		for text, want := range map[string]string{
			"FROM " + b.bed.Image + "\nRUN echo out; exit 3\n": "3",
			"FROM " + b.bed.Image + "\nCOPY absent /\n":        "absent",
			"FORM scratch\n": "FORM",
		} {
			done := b.bed.Try(t, "build", folder(t, map[string]string{"Dockerfile": text}))
			if done.Code == 0 || !strings.Contains(done.Stdout+done.Stderr, want) {
				t.Errorf("%q: exit code %d: %s%s", text, done.Code, done.Stdout, done.Stderr)
			}
		}
	})
}

func TestABuildEndsWithItsClient(t *testing.T) {
	each(t, func(t *testing.T, b builder) {
		const mark = "4321.5"
		dir := folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nRUN sleep " + mark + "\n"})
		client := b.bed.Command(t, "build", dir)
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		bed.Eventually(t, func() error {
			if !sleeps(mark) {
				return errors.New("the step has not begun")
			}
			return nil
		})
		if err := client.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		client.Wait()
		bed.Eventually(t, func() error {
			if sleeps(mark) {
				return errors.New("the step goes on")
			}
			return nil
		})
	})
}

// sleeps reports whether a process of this machine sleeps that long.
func sleeps(mark string) bool {
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is sound
	for _, folder := range folders {
		if line, _ := os.ReadFile(filepath.Join(folder, "cmdline")); strings.Contains(string(line), "sleep\x00"+mark) {
			return true
		}
	}
	return false
}

func TestWhatABuilderKeepsIsToldAndPruned(t *testing.T) {
	b := builders(t)[0]
	b.bed = b.bed.Tenant(t, "pruner").With("", "DOCKER_BUILDKIT=0") // with a builder that no other test uses
	b.bed.Docker(t, "pull", "-q", b.bed.Image)
	b.built(t, "kept", folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nRUN echo kept >/kept\n"}))
	kept := func() string {
		return b.bed.Docker(t, "system", "df", "--format", "{{if eq .Type \"Build Cache\"}}{{.TotalCount}}{{end}}")
	}
	if n := kept(); n == "0" || n == "" {
		t.Errorf("it keeps %q", n)
	}
	bed.Eventually(t, func() error { // a builder lets go of what a build used a moment after its end
		b.bed.Docker(t, "builder", "prune", "-af")
		if n := kept(); n != "0" {
			return fmt.Errorf("when all was pruned it keeps %q", n)
		}
		return nil
	})
}

func TestBuildsGoOnAfterTheirAgentWasKilled(t *testing.T) {
	b := builders(t)[0]
	dir := folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nRUN echo again >/again; echo cached\n"})
	b.built(t, "again", dir)
	b.bed.Fault(t, "kill", "node-1")
	if err := b.bed.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if out := b.built(t, "again", dir); !strings.Contains(out, "Using cache") {
		t.Errorf("after %s the cache was gone: %s", time.Since(begun), out)
	}
}
