package clients

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

func TestReach(t *testing.T) {
	withEveryDocker(t, []useCase{
		{"attach", 20, attach},
		{"attach and the exit code", 22, attachExitCode},
		{"attach and detach", 22, attachAndDetach},
		{"exec", 20, execute},
		{"exec in the background", 20, executeDetached},
		{"exec privileged", 22, executePrivileged},
		{"exec environment and folder", newest, executeWithEnvironment},
		{"cp files", 20, copyFiles},
		{"cp folders", 20, copyFolders},
		{"cp streams", 20, copyStreams},
		{"cp links", 20, copyLinks},
		{"cp through links", 22, copyThroughLinks},
		{"cp odd names", 20, copyOddNames},
		{"cp refusals", 20, copyRefusals},
		{"export", 20, export},
		{"commit", 20, commit},
		{"links", 20, links},
		{"volumes from", 20, volumesFrom},
	})
}

func attach(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-i", b.Image, "sh", "-c", "read x; echo got $x; echo bad >&2; exit 8")
	command := b.Command(t, "attach", id)
	command.Stdin = strings.NewReader("this\n")
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	_ = command.Run() // its exit code is another case
	if stdout.String() != "got this\n" || stderr.String() != "bad\n" {
		t.Errorf("docker attach printed %q and %q", stdout.String(), stderr.String())
	}
	becomes(t, b, id, "{{.State.Running}}", "false")
	refused(t, b, "stopped container", "attach", id)
}

// attachExitCode is not for Docker 1.8, which asks for the exit code when the streams end and
// does not wait for the container's end.
func attachExitCode(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-i", b.Image, "sh", "-c", "read x; exit 8")
	command := b.Command(t, "attach", id)
	command.Stdin = strings.NewReader("\n")
	if out, err := command.CombinedOutput(); command.ProcessState.ExitCode() != 8 {
		t.Errorf("docker attach ended with %v, want exit code 8: %s", err, out)
	}
}

func attachAndDetach(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-it", b.Image, "sh")
	screen := b.Terminal(t, "attach", "--detach-keys", "ctrl-a,x", id)
	screen.Follows(t, "24 80")
	screen.Send(t, "\x01x")
	_ = screen.Wait() // some clients call it an error
	if got := state(t, b, id); got != "true false 0" {
		t.Errorf("the container was left %s", got)
	}
	inside := b.Terminal(t, "exec", "-it", "--detach-keys", "ctrl-e,e", id, "sh")
	inside.Send(t, "echo in-$((1+1))\n")
	inside.Expect(t, "in-2")
	inside.Send(t, "\x05e")
	_ = inside.Wait()
	b.Docker(t, "exec", id, "true")
}

func execute(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-e", "IN=container", b.Image, "sleep", "1000")
	done := b.Try(t, "exec", id, "sh", "-c", "echo $IN; echo bad >&2; exit 42")
	if done.Code != 42 || done.Stdout != "container\n" || done.Stderr != "bad\n" {
		t.Errorf("docker exec: %+v", done)
	}
	if out := b.Docker(t, "exec", "-u", "nobody", id, "id", "-un"); out != "nobody" {
		t.Errorf("docker exec -u: %q", out)
	}
	if out := b.Docker(t, "exec", "-u", "12:34", id, "id"); !strings.HasPrefix(out, "uid=12 gid=34") {
		t.Errorf("docker exec -u with numbers: %q", out)
	}
	command := b.Command(t, "exec", "-i", id, "wc", "-c")
	command.Stdin = strings.NewReader(strings.Repeat("x", 1<<20))
	if out, err := command.Output(); err != nil || strings.TrimSpace(string(out)) != "1048576" {
		t.Errorf("docker exec -i wc: %q, error %v", out, err)
	}
	b.Docker(t, "stop", "-t", "0", id)
	refused(t, b, "is not running", "exec", id, "true")
}

func executeDetached(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sleep", "1000")
	b.Docker(t, "exec", "-d", id, "touch", "/made")
	bed.Eventually(t, func() error {
		if done := b.Try(t, "exec", id, "test", "-e", "/made"); done.Code != 0 {
			return errors.New("docker exec -d has not done its work")
		}
		return nil
	})
}

func executePrivileged(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sleep", "1000")
	capabilities := func(args ...string) string {
		t.Helper()
		return b.Docker(t, append(append([]string{"exec"}, args...), id, "grep", "CapEff", "/proc/self/status")...)
	}
	if plain, all := capabilities(), capabilities("--privileged"); plain == all {
		t.Errorf("privileged or not, an exec has %q", all)
	}
}

func executeWithEnvironment(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sleep", "1000")
	if out := b.Docker(t, "exec", "-e", "MORE=this", "-w", "/tmp", id, "sh", "-c", "echo $MORE; pwd"); out != "this\n/tmp" {
		t.Errorf("docker exec -e -w: %q", out)
	}
}

// writeFile writes a small file for docker cp, and returns its path.
func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

// holds checks a file that docker cp wrote.
func holds(t *testing.T, path, want string) {
	t.Helper()
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%s holds %q, want %q, error %v", path, text, want, err)
	}
}

func copyFiles(t *testing.T, b *bed.Bed) {
	here := t.TempDir()
	id := b.Run(t, b.Image, "sleep", "1000")
	in := writeFile(t, filepath.Join(here, "in"), "from here")
	for _, when := range []string{"running", "stopped"} {
		b.Docker(t, "cp", in, id+":/tmp/"+when)
		b.Docker(t, "cp", in, id+":/tmp")
		b.Docker(t, "cp", id+":/tmp/"+when, filepath.Join(here, when))
		holds(t, filepath.Join(here, when), "from here")
		b.Docker(t, "cp", id+":/tmp/in", here+"/copied")
		holds(t, filepath.Join(here, "copied"), "from here")
		b.Docker(t, "stop", "-t", "0", id)
	}
	b.Docker(t, "start", id)
	if out := b.Docker(t, "exec", id, "stat", "-c", "%a %s", "/tmp/stopped"); out != "640 9" {
		t.Errorf("what was copied in has mode and size %q", out)
	}
}

func copyFolders(t *testing.T, b *bed.Bed) {
	here := t.TempDir()
	id := created(t, b, b.Image, "true")
	writeFile(t, filepath.Join(here, "tree", "a", "b"), "leaf")
	b.Docker(t, "cp", filepath.Join(here, "tree"), id+":/var")      // into what is there
	b.Docker(t, "cp", filepath.Join(here, "tree"), id+":/var/new")  // as what is not there
	b.Docker(t, "cp", filepath.Join(here, "tree")+"/.", id+":/var") // the content
	for i, path := range []string{"/var/tree/a/b", "/var/new/a/b", "/var/a/b"} {
		to := filepath.Join(here, "out", string(rune('0'+i)))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		b.Docker(t, "cp", id+":"+path, to)
		holds(t, to, "leaf")
	}
	b.Docker(t, "cp", id+":/var/tree", filepath.Join(here, "back"))
	holds(t, filepath.Join(here, "back", "a", "b"), "leaf")
}

func copyStreams(t *testing.T, b *bed.Bed) {
	id := created(t, b, b.Image, "true")
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	text := strings.Repeat("streamed ", 100_000)
	err := errors.Join(writer.WriteHeader(&tar.Header{Name: "made/file", Mode: 0o600, Size: int64(len(text)), Uid: 7, Gid: 8}))
	_, writeErr := io.WriteString(writer, text)
	if err := errors.Join(err, writeErr, writer.Close()); err != nil {
		t.Fatal(err)
	}
	command := b.Command(t, "cp", "-", id+":/tmp")
	command.Stdin = &archive
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("docker cp of a stream: %v: %s", err, out)
	}
	header, got := untar(t, b.Try(t, "cp", id+":/tmp/made/file", "-").Stdout, "file")
	if got != text || header.Mode&0o777 != 0o600 {
		t.Errorf("what was streamed in came out as %d bytes of %d, mode %o", len(got), len(text), header.Mode)
	}
}

// untar finds a file in an archive.
func untar(t *testing.T, archive, name string) (*tar.Header, string) {
	t.Helper()
	var names []string
	for reader := tar.NewReader(strings.NewReader(archive)); ; {
		header, err := reader.Next()
		if err != nil {
			t.Fatalf("an archive of %q lacks %s: %v", names, name, err)
		}
		names = append(names, header.Name)
		if strings.Trim(header.Name, "/") == name {
			text, err := io.ReadAll(reader)
			if err != nil {
				t.Fatal(err)
			}
			return header, string(text)
		}
	}
}

// copyLinks has links that lead out of the container: they must be followed within it.
func copyLinks(t *testing.T, b *bed.Bed) {
	here := t.TempDir()
	id := b.Run(t, b.Image, "sh", "-c", "echo within > /etc/secret; ln -s /etc/secret /tmp/link; ln -s ../../../../../etc /tmp/up; echo done; sleep 1000")
	b.Logged(t, id, "done")
	b.Docker(t, "cp", id+":/tmp/up/secret", filepath.Join(here, "out"))
	holds(t, filepath.Join(here, "out"), "within\n")
	header, _ := untar(t, b.Try(t, "cp", id+":/tmp/link", "-").Stdout, "link")
	if header.Typeflag != tar.TypeSymlink || header.Linkname != "/etc/secret" {
		t.Errorf("a link is copied as %+v", header)
	}
	in := writeFile(t, filepath.Join(here, "in"), "new")
	b.Docker(t, "cp", in, id+":/tmp/up/made")
	if out := b.Docker(t, "exec", id, "cat", "/etc/made"); out != "new" {
		t.Errorf("through a link that leads up, the file became %q", out)
	}
	if _, err := os.Stat("/etc/made"); err == nil {
		t.Error("docker cp wrote to this machine")
	}
}

func copyThroughLinks(t *testing.T, b *bed.Bed) {
	here := t.TempDir()
	id := b.Run(t, b.Image, "sh", "-c", "echo within > /etc/secret; ln -s /etc/secret /tmp/link; echo done; sleep 1000")
	b.Logged(t, id, "done")
	b.Docker(t, "cp", "-L", id+":/tmp/link", filepath.Join(here, "followed"))
	holds(t, filepath.Join(here, "followed"), "within\n")
}

func copyOddNames(t *testing.T, b *bed.Bed) {
	here := t.TempDir()
	id := created(t, b, b.Image, "true")
	for _, name := range []string{"with space", "ünïcödé ☃", "-dash", "quote'\"s", "new\nline", "%41+&?#", strings.Repeat("n", 200)} {
		in := writeFile(t, filepath.Join(here, "in", name), name)
		b.Docker(t, "cp", in, id+":/tmp/"+name)
		to := filepath.Join(here, "out")
		b.Docker(t, "cp", id+":/tmp/"+name, to)
		holds(t, to, name)
		if err := os.Remove(to); err != nil {
			t.Fatal(err)
		}
	}
}

func copyRefusals(t *testing.T, b *bed.Bed) {
	here := t.TempDir()
	id := created(t, b, "--read-only", b.Image, "true")
	in := writeFile(t, filepath.Join(here, "in"), "x")
	refused(t, b, "nowhere", "cp", id+":/nowhere", here)
	refused(t, b, "o such container", "cp", "nobody-has-this:/etc", here)
	refused(t, b, "no such directory", "cp", in, id+":/nowhere/")
	refused(t, b, "read-only", "cp", in, id+":/tmp")
}

func export(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "echo mine > /mine; rm /etc/group; echo done; sleep 1000")
	b.Logged(t, id, "done")
	path := filepath.Join(t.TempDir(), "out.tar")
	b.Docker(t, "export", "-o", path, id)
	archive, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, text := untar(t, string(archive), "mine"); text != "mine\n" {
		t.Errorf("the exported file holds %q", text)
	}
	untar(t, string(archive), "bin/busybox")
	for _, name := range []string{".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf"} {
		if header, _ := untar(t, string(archive), name); header.Mode != 0o755 || header.Size != 0 {
			t.Errorf("%s is in the export with mode %o and %d bytes", name, header.Mode, header.Size)
		}
	}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(header.Name, "etc/group") {
			t.Errorf("a removed file is in the export, as %s", header.Name)
		}
	}
}

func commit(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "echo mine > /mine; echo done; sleep 1000")
	b.Logged(t, id, "done")
	ref := "committed/" + unique(t) + ":v1"
	image := b.Docker(t, "commit", "-a", "me <me@example.org>", "-m", "why", "-c", `CMD ["cat", "/mine"]`, "-c", "ENV ADDED=yes", id, ref)
	t.Cleanup(func() { removeImage(t, b, ref) })
	if out := b.Docker(t, "run", "--rm", ref); out != "mine" {
		t.Errorf("the new image prints %q", out)
	}
	if out := b.Docker(t, "run", "--rm", ref, "sh", "-c", "echo $ADDED $FROM_IMAGE"); out != "yes yes" {
		t.Errorf("the environment of the new image: %q", out)
	}
	if got := b.Docker(t, "inspect", "--format", "{{.Id}} {{.Author}} {{.Comment}}", ref); got != image+" me <me@example.org> why" {
		t.Errorf("the new image is %s, want %s with author and message", got, image)
	}
	if out := b.Docker(t, "history", ref); !strings.Contains(out, "why") {
		t.Errorf("docker history:\n%s", out)
	}
	if got := state(t, b, id); got != "true false 0" {
		t.Errorf("the committed container is %s", got)
	}
}

// removeImage ends the name of an image at the end of a test.
func removeImage(t *testing.T, b *bed.Bed, ref string) {
	t.Helper()
	ctx, cancel := afterTest()
	defer cancel()
	if out, err := b.Client(ctx, "rmi", "-f", ref).CombinedOutput(); err != nil {
		t.Errorf("docker rmi %s: %v: %s", ref, err, out)
	}
}

func links(t *testing.T, b *bed.Bed) {
	server := b.Run(t, "--name", unique(t)+"-server", "-e", "SECRET=42", "--expose", "80", b.Image, "httpd", "-f", "-p", "80", "-h", "/etc")
	client := b.Run(t, "--link", unique(t)+"-server:web", b.Image, "sleep", "1000")
	bed.Eventually(t, func() error {
		done := b.Try(t, "exec", client, "wget", "-q", "-O", "-", "http://web/passwd")
		if !strings.Contains(done.Stdout, "root:x:0:0") {
			return errors.New(done.Stdout + done.Stderr)
		}
		return nil
	})
	if out := b.Docker(t, "exec", client, "env"); !strings.Contains(out, "WEB_ENV_SECRET=42") || !strings.Contains(out, "WEB_PORT_80_TCP_ADDR=") {
		t.Errorf("the environment of a linked container:\n%s", out)
	}
	if got := b.Inspect(t, client, "{{json .HostConfig.Links}}"); !strings.Contains(got, "-server:/") || !strings.HasSuffix(got, `/web"]`) {
		t.Errorf("the links of %s are %s", client, got)
	}
	b.Docker(t, "restart", "-t", "0", server)
	refused(t, b, "nobody-has-this", "run", "-d", "--link", "nobody-has-this:x", b.Image, "true")
}

func volumesFrom(t *testing.T, b *bed.Bed) {
	folder := t.TempDir()
	source := created(t, b, "-v", folder+":/shared", b.Image, "true")
	writeFile(t, filepath.Join(folder, "file"), "shared")
	if out := b.Docker(t, "run", "--rm", "--volumes-from", source, b.Image, "cat", "/shared/file"); out != "shared" {
		t.Errorf("--volumes-from: %q", out)
	}
	refused(t, b, "ead-only file system", "run", "--rm", "--volumes-from", source+":ro", b.Image, "touch", "/shared/no")
	refused(t, b, "nobody-has-this", "run", "-d", "--volumes-from", "nobody-has-this", b.Image, "true")
}
