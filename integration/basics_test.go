package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBasicsOnOverlay(t *testing.T) {
	b := sharedBed(t)
	basics(t, b)
	t.Run("service", func(t *testing.T) { service(t, b) })
}

func TestBasicsOnZFS(t *testing.T) {
	sharedBed(t)
	if _, err := exec.LookPath("zfs"); err != nil {
		if _, err := exec.LookPath("zfs-fuse"); err != nil {
			t.Skip("needs ZFS or zfs-fuse: containers' roots on a pool")
		}
	}
	b, err := newBed(context.Background(), filepath.Join(t.TempDir(), "zfs"), "--storage", "zfs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	basics(t, b)
	t.Run("service", func(t *testing.T) { service(t, b) })
}

// basics is what everybody does with docker in their first hour, on any kind of storage.
func basics(t *testing.T, b *bed) {
	for name, test := range map[string]func(*testing.T, *bed){
		"pull": testPull, "run": testRun, "exit codes": testExitCodes, "standard input": testStandardInput,
		"web server": testWebServer, "exec": testExec, "life": testLife, "names": testNames, "inspect": testInspect,
		"files stay": testFilesStay,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

func testPull(t *testing.T, b *bed) {
	out := b.docker(t, "pull", b.image)
	if !strings.Contains(out, "Digest: sha256:") || !strings.Contains(out, "Status: ") {
		t.Errorf("docker pull printed:\n%s", out)
	}
	if out := b.docker(t, "images"); !strings.Contains(out, b.address+"/tests/busybox") {
		t.Errorf("docker images lacks the image:\n%s", out)
	}
	missing := b.try(t, "pull", b.address+"/tests/none:1")
	if missing.code == 0 || !strings.Contains(missing.stderr, "none") {
		t.Errorf("pulling an image that does not exist: code %d, %s", missing.code, missing.stderr)
	}
}

func testRun(t *testing.T, b *bed) {
	if out := b.docker(t, "run", "--rm", b.image, "echo", "hello"); out != "hello" {
		t.Errorf("docker run printed %q", out)
	}
	done := b.try(t, "run", "--rm", b.image, "sh", "-c", "echo out; echo err >&2")
	if done.stdout != "out\n" || done.stderr != "err\n" {
		t.Errorf("stdout %q, stderr %q", done.stdout, done.stderr)
	}
	if out := b.docker(t, "run", "--rm", "-e", "MORE=this", "-w", "/tmp", "-h", "here", b.image, "sh", "-c", "echo $FROM_IMAGE $MORE; pwd; hostname"); out != "yes this\n/tmp\nhere" {
		t.Errorf("environment, folder and host name: %q", out)
	}
	if left := b.docker(t, "ps", "-aq"); left != "" {
		t.Errorf("--rm left containers: %s", left)
	}
}

func testExitCodes(t *testing.T, b *bed) {
	for script, want := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137} {
		if done := b.try(t, "run", "--rm", b.image, "sh", "-c", "sh -c '"+script+"'; exit $?"); done.code != want {
			t.Errorf("%s: exit code %d, want %d (%s)", script, done.code, want, done.stderr)
		}
	}
	if done := b.try(t, "run", "--rm", b.image, "/no/such/program"); done.code != 127 {
		t.Errorf("a program that does not exist: exit code %d, want 127 (%s)", done.code, done.stderr)
	}
	if done := b.try(t, "run", "--rm", b.image, "/etc/passwd"); done.code != 126 {
		t.Errorf("a file that is no program: exit code %d, want 126 (%s)", done.code, done.stderr)
	}
}

func testStandardInput(t *testing.T, b *bed) {
	command := b.command(t, "run", "--rm", "-i", b.image, "sh", "-c", "wc -c; echo done")
	command.Stdin = strings.NewReader(strings.Repeat("x", 1<<20))
	out, err := command.Output()
	if err != nil || strings.TrimSpace(string(out)) != fmt.Sprint(1<<20)+"\ndone" {
		t.Errorf("the container counted %q, error %v: standard input must arrive whole, and end", out, err)
	}
}

func testWebServer(t *testing.T, b *bed) {
	id := b.run(t, b.image, "httpd", "-f", "-p", "80", "-h", "/etc")
	address := b.addressOf(t, id)
	eventually(t, func() error { return fetch("http://"+address+"/passwd", "root:x:0:0") })
}

// fetch reads a page, which must hold the text.
func fetch(url, text string) error {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if !strings.Contains(string(body), text) {
		return fmt.Errorf("%s lacks %q: %s", url, text, body)
	}
	return nil
}

func testExec(t *testing.T, b *bed) {
	id := b.run(t, "-e", "IN=container", b.image, "sleep", "1000")
	if out := b.docker(t, "exec", id, "sh", "-c", "echo $IN; hostname"); out != "container\n"+id[:12] {
		t.Errorf("exec printed %q", out)
	}
	if done := b.try(t, "exec", id, "sh", "-c", "exit 42"); done.code != 42 {
		t.Errorf("exit code of exec %d, want 42 (%s)", done.code, done.stderr)
	}
	if done := b.try(t, "exec", id, "/no/such/program"); done.code != 127 && done.code != 126 {
		t.Errorf("exec of nothing: exit code %d (%s)", done.code, done.stderr)
	}
	command := b.command(t, "exec", "-i", id, "cat")
	command.Stdin = strings.NewReader("through\n")
	if out, err := command.Output(); err != nil || string(out) != "through\n" {
		t.Errorf("exec -i cat: %q, error %v", out, err)
	}
	if out := b.docker(t, "top", id); !strings.Contains(out, "sleep 1000") {
		t.Errorf("docker top lacks the process:\n%s", out)
	}
}

func testLife(t *testing.T, b *bed) {
	id := b.run(t, b.image, "sh", "-c", `trap 'echo stopped; exit 3' TERM; echo started; while :; do sleep 0.1; done`)
	b.logged(t, id, "started")
	b.docker(t, "stop", "-t", "30", id)
	if state := b.inspect(t, id, "{{.State.Status}} {{.State.ExitCode}}"); state != "exited 3" {
		t.Errorf("after docker stop: %s, want exited 3", state)
	}
	b.docker(t, "start", id)
	b.docker(t, "restart", "-t", "30", id)
	if state := b.inspect(t, id, "{{.State.Status}}"); state != "running" {
		t.Errorf("after docker restart: %s", state)
	}
	b.docker(t, "kill", id)
	if code := b.docker(t, "wait", id); code != "137" {
		t.Errorf("docker wait after docker kill: %s, want 137", code)
	}
	b.docker(t, "start", id)
	if done := b.try(t, "rm", id); done.code == 0 || !strings.Contains(done.stderr, "running") {
		t.Errorf("docker rm of a running container: code %d, %s", done.code, done.stderr)
	}
	b.docker(t, "rm", "-f", id)
	if done := b.try(t, "inspect", id); done.code == 0 {
		t.Error("a removed container is still there")
	}
}

func testNames(t *testing.T, b *bed) {
	id := b.run(t, "--name", "first", b.image, "sleep", "1000")
	taken := b.try(t, "run", "-d", "--name", "first", b.image, "true")
	if taken.code == 0 || !strings.Contains(taken.stderr, "already in use") || !strings.Contains(taken.stderr, id) {
		t.Errorf("a name that is taken: code %d, %s", taken.code, taken.stderr)
	}
	b.docker(t, "rename", "first", "second")
	if out := b.docker(t, "ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"); !strings.Contains(out, id+" second running") {
		t.Errorf("docker ps -a after a rename:\n%s", out)
	}
	if got := b.inspect(t, id[:7], "{{.ID}}"); got != id {
		t.Errorf("the short id leads to %s", got)
	}
}

func testInspect(t *testing.T, b *bed) {
	id := b.run(t, "--label", "a=b", "-e", "X=y", "--memory", "64m", "-p", "8000", b.image, "sleep", "1000")
	for format, want := range map[string]string{
		"{{.Config.Image}}": b.image, "{{json .Config.Cmd}}": `["sleep","1000"]`, "{{index .Config.Labels \"a\"}}": "b",
		"{{index .Config.Labels \"made.by\"}}": "tests", "{{.HostConfig.Memory}}": "67108864", "{{.State.Running}}": "true", "{{.RestartCount}}": "0",
	} {
		if got := b.inspect(t, id, format); got != want {
			t.Errorf("inspect %s: %q, want %q", format, got, want)
		}
	}
	if out := b.docker(t, "image", "inspect", "--format", "{{.Os}} {{json .Config.Cmd}}", b.image); out != `linux ["/bin/sh"]` {
		t.Errorf("image inspect: %s", out)
	}
}

func testFilesStay(t *testing.T, b *bed) {
	id := b.run(t, b.image, "sh", "-c", "cat /kept 2>/dev/null || echo first; echo again > /kept")
	b.docker(t, "wait", id)
	b.docker(t, "start", "-a", id)
	if out := b.docker(t, "logs", id); out != "first\nagain" {
		t.Errorf("what the container found at its two starts: %q", out)
	}
	if out := b.docker(t, "run", "--rm", b.image, "ls", "/"); strings.Contains(out, "kept") {
		t.Error("a container sees files of another")
	}
}
