package build

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// modern is the way to build by BuildKit's own clients.
func modern(t *testing.T) builder {
	t.Helper()
	for _, b := range builders(t) {
		if b.name != "classic" {
			return b
		}
	}
	t.Skip("needs docker buildx: install it with scripts/clients")
	return builder{}
}

// TestStepsHaveSecretsKeysCachesAndHeredocs has what only Dockerfiles of
// BuildKit have.
func TestStepsHaveSecretsKeysCachesAndHeredocs(t *testing.T) {
	b := modern(t)
	dir := folder(t, map[string]string{
		"token": "sesame",
		"Dockerfile": "FROM " + b.bed.Image + `
RUN --mount=type=secret,id=token test "$(cat /run/secrets/token)" = sesame
RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && touch /with-key
ARG TURN
RUN --mount=type=cache,target=/cache echo "$TURN" >>/cache/turns; cp /cache/turns /turns
RUN <<EOF
echo several >/lines
echo lines >>/lines
EOF
COPY <<EOF /inline
written here
EOF
`,
	})
	b.bed = b.bed.With("", agentWithKey(t)...)
	build := func(turn string) {
		b.built(t, "mounts", dir, "--secret", "id=token,src="+filepath.Join(dir, "token"), "--ssh", "default", "--build-arg", "TURN="+turn)
	}
	build("one")
	build("two")
	if out := b.bed.Docker(t, "run", "--rm", "mounts", "cat", "/turns", "/lines", "/inline"); out != "one\ntwo\nseveral\nlines\nwritten here" {
		t.Errorf("it holds %q", out)
	}
	if out := b.bed.Docker(t, "run", "--rm", "mounts", "sh", "-c", "ls /run/secrets /cache; ls /with-key"); strings.Contains(out, "token") || strings.Contains(out, "turns") || !strings.Contains(out, "with-key") {
		t.Errorf("of mounts it keeps %q", out)
	}
	b.refused(t, "exit code: 1", "build", "--no-cache", "--secret", "id=token,src="+filepath.Join(dir, "token"), dir) // no key is offered
}

var agentSocket = regexp.MustCompile(`SSH_AUTH_SOCK=([^;]+);(?s:.*)SSH_AGENT_PID=(\d+)`)

// agentWithKey starts an SSH agent that has one key, and returns the settings
// that lead to it.
func agentWithKey(t *testing.T) []string {
	t.Helper()
	for _, tool := range []string{"ssh-agent", "ssh-add", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool + ": apt install openssh-client")
		}
	}
	out, err := exec.Command("ssh-agent", "-s").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := agentSocket.FindStringSubmatch(string(out))
	if found == nil {
		t.Fatalf("ssh-agent says %q", out)
	}
	settings := []string{"SSH_AUTH_SOCK=" + found[1], "SSH_AGENT_PID=" + found[2]}
	run := func(name string, args ...string) error {
		command := exec.Command(name, args...)
		command.Env = append(os.Environ(), settings...)
		return command.Run()
	}
	t.Cleanup(func() { run("ssh-agent", "-k") })
	key := filepath.Join(t.TempDir(), "key")
	if err := errors.Join(run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key), run("ssh-add", "-q", key)); err != nil {
		t.Fatal(err)
	}
	return settings
}

// TestResultsGoWhereTheyAreAskedFor builds for a folder, for archives and for a
// registry.
func TestResultsGoWhereTheyAreAskedFor(t *testing.T) {
	b := modern(t)
	registry := private(t, b)
	dir := folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + " AS made\nRUN echo result >/result\nFROM scratch\nCOPY --from=made /result /result\n"})
	out := t.TempDir()
	build := func(args ...string) {
		t.Helper()
		b.bed.Docker(t, append(append([]string{"buildx", "build"}, args...), dir)...)
	}
	build("--output", "type=local,dest="+filepath.Join(out, "local"))
	if text, err := os.ReadFile(filepath.Join(out, "local", "result")); err != nil || string(text) != "result\n" {
		t.Errorf("the folder holds %q: %v", text, err)
	}
	for kind, want := range map[string]string{"tar": "result", "oci": "index.json", "docker": "manifest.json"} {
		archive := filepath.Join(out, kind+".tar")
		build("--output", "type="+kind+",dest="+archive)
		if names := namesIn(t, archive); !slices.Contains(names, want) {
			t.Errorf("the archive for %s holds %q", kind, names)
		}
	}
	b.bed.Docker(t, "load", "-i", filepath.Join(out, "docker.tar"))

	name := registry + "/team/pushed:1"
	build("--push", "-t", name)
	b.bed.Docker(t, "rmi", name)
	b.bed.Docker(t, "pull", name)
	build("--load", "-t", "loaded")
	if pushed, loaded := b.bed.Inspect(t, name, "{{.RootFS.Layers}}"), b.bed.Inspect(t, "loaded", "{{.RootFS.Layers}}"); pushed != loaded {
		t.Errorf("pushed layers %s, loaded ones %s", pushed, loaded)
	}
	b.bed.Docker(t, "rmi", "-f", name, "loaded")
	stranger := b.bed.With("", "DOCKER_CONFIG="+emptyConfig(t))
	done := stranger.Try(t, "buildx", "build", "--push", "-t", name, dir)
	if said := done.Stdout + done.Stderr; done.Code == 0 || !strings.Contains(said, "401") && !strings.Contains(said, "authori") {
		t.Errorf("without a login it pushes: %s", said)
	}
}

func namesIn(t *testing.T, archive string) (names []string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for entries := tar.NewReader(f); ; {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// TestWhatNoStepMayHaveIsRefusedByName asks for the machine's network and for
// privileges, at the command line and in a Dockerfile.
func TestWhatNoStepMayHaveIsRefusedByName(t *testing.T) {
	b := modern(t)
	plain := folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nRUN true\n"})
	b.refused(t, "network.host", "build", "--network", "host", plain)
	b.refused(t, "security.insecure", "build", "--allow", "security.insecure", plain)
	for step, want := range map[string]string{"RUN --network=host true": "network.host", "RUN --security=insecure true": "security.insecure"} {
		b.refused(t, want, "build", folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\n" + step + "\n"}))
	}
}
