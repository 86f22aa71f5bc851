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

	"github.com/spearheadcloud/spearhead/integration/bed"
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
	b, err := setting.New(context.Background(), filepath.Join(t.TempDir(), "zfs"), "--storage", "zfs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	basics(t, b)
	t.Run("service", func(t *testing.T) { service(t, b) })
}

// basics is what everybody does with docker in their first hour, on any kind of storage.
func basics(t *testing.T, b *bed.Bed) {
	for name, test := range map[string]func(*testing.T, *bed.Bed){
		"pull": testPull, "run": testRun, "exit codes": testExitCodes, "standard input": testStandardInput,
		"web server": testWebServer, "exec": testExec, "life": testLife, "names": testNames, "inspect": testInspect,
		"files stay": testFilesStay,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

func testPull(t *testing.T, b *bed.Bed) {
	out := b.Docker(t, "pull", b.Image)
	if !strings.Contains(out, "Digest: sha256:") || !strings.Contains(out, "Status: ") {
		t.Errorf("docker pull printed:\n%s", out)
	}
	if out := b.Docker(t, "images"); !strings.Contains(out, b.Address+"/tests/busybox") {
		t.Errorf("docker images lacks the image:\n%s", out)
	}
	missing := b.Try(t, "pull", b.Address+"/tests/none:1")
	if missing.Code == 0 || !strings.Contains(missing.Stderr, "none") {
		t.Errorf("pulling an image that does not exist: code %d, %s", missing.Code, missing.Stderr)
	}
}

func testRun(t *testing.T, b *bed.Bed) {
	if out := b.Docker(t, "run", "--rm", b.Image, "echo", "hello"); out != "hello" {
		t.Errorf("docker run printed %q", out)
	}
	done := b.Try(t, "run", "--rm", b.Image, "sh", "-c", "echo out; echo err >&2")
	if done.Stdout != "out\n" || done.Stderr != "err\n" {
		t.Errorf("stdout %q, stderr %q", done.Stdout, done.Stderr)
	}
	if out := b.Docker(t, "run", "--rm", "-e", "MORE=this", "-w", "/tmp", "-h", "here", b.Image, "sh", "-c", "echo $FROM_IMAGE $MORE; pwd; hostname"); out != "yes this\n/tmp\nhere" {
		t.Errorf("environment, folder and host name: %q", out)
	}
	if left := b.Docker(t, "ps", "-aq"); left != "" {
		t.Errorf("--rm left containers: %s", left)
	}
}

func testExitCodes(t *testing.T, b *bed.Bed) {
	for script, want := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137} {
		if done := b.Try(t, "run", "--rm", b.Image, "sh", "-c", "sh -c '"+script+"'; exit $?"); done.Code != want {
			t.Errorf("%s: exit code %d, want %d (%s)", script, done.Code, want, done.Stderr)
		}
	}
	if done := b.Try(t, "run", "--rm", b.Image, "/no/such/program"); done.Code != 127 {
		t.Errorf("a program that does not exist: exit code %d, want 127 (%s)", done.Code, done.Stderr)
	}
	if done := b.Try(t, "run", "--rm", b.Image, "/etc/passwd"); done.Code != 126 {
		t.Errorf("a file that is no program: exit code %d, want 126 (%s)", done.Code, done.Stderr)
	}
}

func testStandardInput(t *testing.T, b *bed.Bed) {
	command := b.Command(t, "run", "--rm", "-i", b.Image, "sh", "-c", "wc -c; echo done")
	command.Stdin = strings.NewReader(strings.Repeat("x", 1<<20))
	out, err := command.Output()
	if err != nil || strings.TrimSpace(string(out)) != fmt.Sprint(1<<20)+"\ndone" {
		t.Errorf("the container counted %q, error %v: standard input must arrive whole, and end", out, err)
	}
}

func testWebServer(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-p", "80", b.Image, "httpd", "-f", "-p", "80", "-h", "/etc")
	address := b.AddressOf(t, id)
	bed.Eventually(t, func() error { return fetch("http://"+address+"/passwd", "root:x:0:0") })
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

func testExec(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-e", "IN=container", b.Image, "sleep", "1000")
	if out := b.Docker(t, "exec", id, "sh", "-c", "echo $IN; hostname"); out != "container\n"+id[:12] {
		t.Errorf("exec printed %q", out)
	}
	if done := b.Try(t, "exec", id, "sh", "-c", "exit 42"); done.Code != 42 {
		t.Errorf("exit code of exec %d, want 42 (%s)", done.Code, done.Stderr)
	}
	if done := b.Try(t, "exec", id, "/no/such/program"); done.Code != 127 && done.Code != 126 {
		t.Errorf("exec of nothing: exit code %d (%s)", done.Code, done.Stderr)
	}
	command := b.Command(t, "exec", "-i", id, "cat")
	command.Stdin = strings.NewReader("through\n")
	if out, err := command.Output(); err != nil || string(out) != "through\n" {
		t.Errorf("exec -i cat: %q, error %v", out, err)
	}
	if out := b.Docker(t, "top", id); !strings.Contains(out, "sleep 1000") {
		t.Errorf("docker top lacks the process:\n%s", out)
	}
}

func testLife(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", `trap 'echo stopped; exit 3' TERM; echo started; while :; do sleep 0.1; done`)
	b.Logged(t, id, "started")
	b.Docker(t, "stop", "-t", "30", id)
	if state := b.Inspect(t, id, "{{.State.Status}} {{.State.ExitCode}}"); state != "exited 3" {
		t.Errorf("after docker stop: %s, want exited 3", state)
	}
	b.Docker(t, "start", id)
	b.Docker(t, "restart", "-t", "30", id)
	if state := b.Inspect(t, id, "{{.State.Status}}"); state != "running" {
		t.Errorf("after docker restart: %s", state)
	}
	b.Docker(t, "kill", id)
	if code := b.Docker(t, "wait", id); code != "137" {
		t.Errorf("docker wait after docker kill: %s, want 137", code)
	}
	b.Docker(t, "start", id)
	if done := b.Try(t, "rm", id); done.Code == 0 || !strings.Contains(done.Stderr, "running") {
		t.Errorf("docker rm of a running container: code %d, %s", done.Code, done.Stderr)
	}
	b.Docker(t, "rm", "-f", id)
	if done := b.Try(t, "inspect", id); done.Code == 0 {
		t.Error("a removed container is still there")
	}
}

func testNames(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--name", "first", b.Image, "sleep", "1000")
	taken := b.Try(t, "run", "-d", "--name", "first", b.Image, "true")
	if taken.Code == 0 || !strings.Contains(taken.Stderr, "already in use") || !strings.Contains(taken.Stderr, id) {
		t.Errorf("a name that is taken: code %d, %s", taken.Code, taken.Stderr)
	}
	b.Docker(t, "rename", "first", "second")
	if out := b.Docker(t, "ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"); !strings.Contains(out, id+" second running") {
		t.Errorf("docker ps -a after a rename:\n%s", out)
	}
	if got := b.Inspect(t, id[:7], "{{.ID}}"); got != id {
		t.Errorf("the short id leads to %s", got)
	}
}

func testInspect(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--label", "a=b", "-e", "X=y", "--memory", "64m", "-p", "8000", b.Image, "sleep", "1000")
	for format, want := range map[string]string{
		"{{.Config.Image}}": b.Image, "{{json .Config.Cmd}}": `["sleep","1000"]`, "{{index .Config.Labels \"a\"}}": "b",
		"{{index .Config.Labels \"made.by\"}}": "tests", "{{.HostConfig.Memory}}": "67108864", "{{.State.Running}}": "true", "{{.RestartCount}}": "0",
	} {
		if got := b.Inspect(t, id, format); got != want {
			t.Errorf("inspect %s: %q, want %q", format, got, want)
		}
	}
	if out := b.Docker(t, "image", "inspect", "--format", "{{.Os}} {{json .Config.Cmd}}", b.Image); out != `linux ["/bin/sh"]` {
		t.Errorf("image inspect: %s", out)
	}
}

func testFilesStay(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "cat /kept 2>/dev/null || echo first; echo again > /kept")
	b.Docker(t, "wait", id)
	b.Docker(t, "start", "-a", id)
	if out := b.Docker(t, "logs", id); out != "first\nagain" {
		t.Errorf("what the container found at its two starts: %q", out)
	}
	if out := b.Docker(t, "run", "--rm", b.Image, "ls", "/"); strings.Contains(out, "kept") {
		t.Error("a container sees files of another")
	}
}
