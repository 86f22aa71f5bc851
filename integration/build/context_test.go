package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuildsBeginWithPrivateImages has a FROM that only who is logged in may
// read.
func TestBuildsBeginWithPrivateImages(t *testing.T) {
	all := builders(t)
	registry := private(t, all...)
	base := registry + "/private/base:1"
	all[0].bed.Docker(t, "tag", all[0].bed.Docker(t, "pull", "-q", all[0].bed.Image), base)
	all[0].bed.Docker(t, "push", "-q", base)
	all[0].bed.Docker(t, "rmi", base)
	for _, b := range all {
		t.Run(b.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN echo " + b.name + " >/made\n"})
			b.built(t, b.name+"-private", dir)
			if out := b.bed.Docker(t, "run", "--rm", b.name+"-private", "cat", "/made"); out != b.name {
				t.Errorf("it holds %q", out)
			}
			stranger := builder{b.name, b.bed.With("", "DOCKER_CONFIG="+emptyConfig(t))}
			stranger.refused(t, base, "build", "--no-cache", dir)
		})
	}
}

// TestTheDockerfileMayLieElsewhere takes it from outside of the context, and
// from standard input.
func TestTheDockerfileMayLieElsewhere(t *testing.T) {
	each(t, func(t *testing.T, b builder) {
		top := folder(t, map[string]string{"other": "FROM " + b.bed.Image + "\nCOPY seen /seen\nRUN cat /seen\n", "context/seen": "here", "context/.dockerignore": "hidden"})
		name := b.name + "-elsewhere"
		b.built(t, name, filepath.Join(top, "context"), "-f", filepath.Join(top, "other"))
		if out := b.bed.Docker(t, "run", "--rm", name, "cat", "/seen"); out != "here" {
			t.Errorf("it holds %q", out)
		}
		piped := b.bed.Command(t, "build", "-t", name, "-")
		piped.Stdin = strings.NewReader("FROM " + b.bed.Image + "\nRUN echo piped >/piped\n")
		if out, err := piped.CombinedOutput(); err != nil {
			t.Errorf("a Dockerfile from standard input: %v: %s", err, out)
		}
		b.refused(t, "", "build", "-f", filepath.Join(top, "absent"), filepath.Join(top, "context"))
	})
}

// TestContextsAreFetched has contexts that are on a web server of the account:
// a Dockerfile, an archive and a git repository. ADD reaches it, too.
func TestContextsAreFetched(t *testing.T) {
	all := builders(t)
	first := all[0].bed
	server := first.Run(t, "-p", "80", first.Image, "sh", "-c", "mkdir /www; exec httpd -f -p 80 -h /www")
	files := folder(t, map[string]string{
		"Dockerfile":     "FROM " + first.Image + "\nCOPY fetched /fetched\n",
		"fetched":        "from afar",
		"one/onlythis":   "FROM " + first.Image + "\nRUN echo from afar >/fetched\n",
		"sub/Dockerfile": "FROM " + first.Image + "\nRUN echo sub >/sub\n",
	})
	site := t.TempDir()
	publish(t, files, site)
	first.Docker(t, "cp", site+"/.", server+":/www")
	at := "http://" + first.AddressOf(t, server)
	for _, b := range all {
		t.Run(b.name, func(t *testing.T) {
			name := b.name + "-fetched"
			for _, context := range []string{at + "/context.tgz", at + "/onlythis", at + "/repository.git"} {
				b.built(t, name, context)
				if out := b.bed.Docker(t, "run", "--rm", name, "cat", "/fetched"); out != "from afar" {
					t.Errorf("built from %s it holds %q", context, out)
				}
			}
			b.built(t, name, at+"/repository.git#:sub")
			b.bed.Docker(t, "run", "--rm", name, "cat", "/sub")
			adds := "FROM " + b.bed.Image + "\nADD " + at + "/onlythis /added\nADD " + at + "/repository.git /repository\nRUN grep -q afar /added && grep -q afar /repository/fetched\n"
			b.built(t, name, folder(t, map[string]string{"Dockerfile": adds}))
			// What is fetched is fetched from where the account's containers are: its loopback is not the node's.
			b.refused(t, "refused", "build", folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nADD http://127.0.0.1:7946/x /x\n"}))
		})
	}
}

// publish makes what the web server has: files of contexts.
func publish(t *testing.T, files, site string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git: apt install git")
	}
	run := func(dir, name string, args ...string) {
		t.Helper()
		command := exec.Command(name, args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
		}
	}
	run(files, "cp", "one/onlythis", site)
	run(files, "tar", "-czf", filepath.Join(site, "context.tgz"), "Dockerfile", "fetched")
	run(files, "git", "init", "-q", "-b", "master") // as older clients expect
	run(files, "git", "add", ".")
	run(files, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "all")
	run(files, "git", "clone", "-q", "--bare", ".", filepath.Join(site, "repository.git"))
	run(filepath.Join(site, "repository.git"), "git", "update-server-info")
}
