package clients

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

func TestLife(t *testing.T) {
	withEveryDocker(t, []useCase{
		{"create", 20, create},
		{"create refusals", 25, createRefusals},
		{"stop and start", 20, stopAndStart},
		{"restart", 20, restart},
		{"signals", 20, signals},
		{"pause", 20, pause},
		{"wait", 20, wait},
		{"rename", 20, rename},
		{"update", 22, update},
		{"file systems in memory", 22, memoryFiles},
		{"rm", 20, remove},
		{"rm by the server", 25, removeByServer},
		{"run --rm", 20, runAndRemove},
		{"prune", 25, prune},
		{"restart policy", 20, restartPolicy},
		{"init", 25, initProcess},
		{"stop signal", 24, stopSignal},
		{"health", 24, health},
	})
}

// state is what docker says of a container, in few words.
func state(t *testing.T, b *bed.Bed, id string) string {
	t.Helper()
	return b.Inspect(t, id, "{{.State.Running}} {{.State.Paused}} {{.State.ExitCode}}")
}

// becomes waits until an inspected value is the wanted one.
func becomes(t *testing.T, b *bed.Bed, id, format, want string) {
	t.Helper()
	bed.Eventually(t, func() error {
		if got := b.Inspect(t, id, format); got != want {
			return fmt.Errorf("%s of %s is %q, want %q", format, id, got, want)
		}
		return nil
	})
}

// refused calls docker, which must fail and say the text.
func refused(t *testing.T, b *bed.Bed, text string, args ...string) {
	t.Helper()
	done := b.Try(t, args...)
	if done.Code == 0 || !strings.Contains(done.Stdout+done.Stderr, text) {
		t.Errorf("docker %s: code %d, %q; want a refusal with %q", strings.Join(args, " "), done.Code, done.Stdout+done.Stderr, text)
	}
}

// created makes a container that does not run yet.
func created(t *testing.T, b *bed.Bed, args ...string) string {
	t.Helper()
	id := b.Docker(t, append([]string{"create"}, args...)...)
	t.Cleanup(func() { b.Remove(t, id) })
	return id
}

func create(t *testing.T, b *bed.Bed) {
	id := created(t, b, "--name", unique(t), "-e", "A=b", "--label", "k=v", "-w", "/tmp", "-h", "here", "-u", "nobody", "--entrypoint", "sh",
		"--memory", "64m", "--cpu-shares", "512", "--cap-add", "NET_ADMIN", "--cap-drop", "MKNOD", "--ulimit", "nofile=100:200", "--read-only",
		"--add-host", "other:10.9.8.7", "--dns", "10.9.8.6", "--restart", "on-failure:3", "--expose", "8080", "--security-opt", "label:disable",
		b.Image, "-c", "echo $A; pwd; hostname; id -un; ulimit -n; grep other /etc/hosts; grep 10.9.8.6 /etc/resolv.conf; touch /x 2>&1")
	for format, want := range map[string]string{
		"{{json .Config.Entrypoint}}": `["sh"]`, "{{.HostConfig.Memory}}": "67108864", "{{.HostConfig.CpuShares}}": "512",
		"{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}": "on-failure 3",
		"{{.HostConfig.ReadonlyRootfs}}": "true", `{{index .Config.Labels "k"}}`: "v", "{{.Config.User}}": "nobody",
		"{{json .Config.ExposedPorts}}": `{"8080/tcp":{}}`, "{{.Name}}": "/" + unique(t),
	} {
		if got := b.Inspect(t, id, format); got != want {
			t.Errorf("inspect %s: %q, want %q", format, got, want)
		}
	}
	out := b.Try(t, "start", "-a", id).Stdout
	for _, want := range []string{"b\n/tmp\nhere\nnobody\n100\n", "10.9.8.7", "ExtServers: [10.9.8.6]", "Read-only file system"} {
		if !strings.Contains(out, want) {
			t.Errorf("the container printed %q, without %q", out, want)
		}
	}
}

func createRefusals(t *testing.T, b *bed.Bed) {
	for text, args := range map[string][]string{
		"network nowhere not found":           {"--network", "nowhere"},
		"No such container: nobody-has-this":  {"--network", "container:nobody-has-this"},
		"range of CPUs is from 0.01":          {"--cpus", "1000"},
		"No such container: neither-this-one": {"--volumes-from", "neither-this-one"},
	} {
		args = append(append([]string{"run", "--rm"}, args...), b.Image)
		refused(t, b, text, args...)
		if done := b.Try(t, args...); done.Code != 125 || strings.Contains(done.Stderr, "Unable to find image") {
			t.Errorf("docker %s: code %d, %s", strings.Join(args, " "), done.Code, done.Stderr)
		}
	}
}

func stopAndStart(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", `trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done`)
	b.Logged(t, id, "up")
	if out := b.Docker(t, "stop", "-t", "30", id); out != id {
		t.Errorf("docker stop printed %q", out)
	}
	if got := state(t, b, id); got != "false false 3" {
		t.Errorf("stopped: %s", got)
	}
	b.Docker(t, "stop", id) // again is no error
	b.Docker(t, "start", id)
	b.Docker(t, "start", id)
	if got := state(t, b, id); got != "true false 0" {
		t.Errorf("started again: %s", got)
	}
	refused(t, b, "No such container", "start", "nobody-has-this")
}

func restart(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "echo began; sleep 1000")
	b.Logged(t, id, "began")
	before := b.Inspect(t, id, "{{.State.Pid}}")
	b.Docker(t, "restart", "-t", "0", id)
	if after := b.Inspect(t, id, "{{.State.Pid}}"); after == before || after == "0" {
		t.Errorf("docker restart: process %s, then %s", before, after)
	}
	b.Logged(t, id, "began\nbegan")
}

func signals(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", `trap 'echo usr1' USR1; trap 'echo hup' HUP; echo up; while :; do sleep 0.1; done`)
	b.Logged(t, id, "up")
	b.Docker(t, "kill", "-s", "USR1", id)
	b.Logged(t, id, "usr1")
	b.Docker(t, "kill", "-s", "SIGHUP", id)
	b.Logged(t, id, "hup")
	b.Docker(t, "kill", "-s", "10", id)
	b.Logged(t, id, "hup\nusr1")
	refused(t, b, "nvalid signal", "kill", "-s", "NOSUCH", id)
	b.Docker(t, "kill", id)
	becomes(t, b, id, "{{.State.Running}} {{.State.ExitCode}}", "false 137")
	refused(t, b, "is not running", "kill", id)
}

func pause(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sleep", "1000")
	b.Docker(t, "pause", id)
	if got := state(t, b, id); got != "true true 0" {
		t.Errorf("paused: %s", got)
	}
	if out := b.Docker(t, "ps", "--filter", "status=paused", "--no-trunc"); !strings.Contains(out, id) || !strings.Contains(out, "(Paused)") {
		t.Errorf("docker ps of paused containers:\n%s", out)
	}
	refused(t, b, "paused", "exec", id, "true")
	refused(t, b, "already paused", "pause", id)
	b.Docker(t, "unpause", id)
	b.Docker(t, "exec", id, "true")
	refused(t, b, "is not paused", "unpause", id)
}

func wait(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-i", b.Image, "sh", "-c", "read x; exit 9")
	waiting := b.Command(t, "wait", id)
	var out strings.Builder
	waiting.Stdout = &out
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	attach := b.Command(t, "attach", id)
	attach.Stdin = strings.NewReader("\n")
	_ = attach.Run() // its exit code is the container's
	if err := waiting.Wait(); err != nil || strings.TrimSpace(out.String()) != "9" {
		t.Errorf("docker wait: %q, error %v", out.String(), err)
	}
	if out := b.Docker(t, "wait", id); out != "9" {
		t.Errorf("docker wait for what has ended: %q", out)
	}
}

func rename(t *testing.T, b *bed.Bed) {
	first, second := unique(t)+"-1", unique(t)+"-2"
	id := b.Run(t, "--name", first, b.Image, "sleep", "1000")
	other := b.Run(t, b.Image, "sleep", "1000")
	b.Docker(t, "rename", first, second)
	if name := b.Inspect(t, id, "{{.Name}}"); name != "/"+second {
		t.Errorf("renamed: %s", name)
	}
	refused(t, b, "already in use", "rename", other, second)
	refused(t, b, "nvalid container name", "rename", other, "not/a/name")
}

func update(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--memory", "64m", b.Image, "sleep", "1000")
	b.Docker(t, "update", "--memory", "48m", "--memory-swap", "48m", "--cpu-shares", "256", "--restart", "always", id)
	if got := b.Inspect(t, id, "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}} {{.HostConfig.RestartPolicy.Name}}"); got != "50331648 256 always" {
		t.Errorf("updated: %s", got)
	}
	if got := b.Docker(t, "exec", id, "sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"); got != "50331648" {
		t.Errorf("the container's limit is %s", got)
	}
	b.Docker(t, "update", "--restart", "no", id)
}

func memoryFiles(t *testing.T, b *bed.Bed) {
	out := b.Docker(t, "run", "--rm", "--tmpfs", "/quick:size=1m", "--shm-size", "8m", b.Image, "sh", "-c", "grep -E ' /(quick|dev/shm) ' /proc/mounts; df -k /quick /dev/shm")
	for _, want := range []string{"tmpfs /quick tmpfs", "size=1024k", "8192"} {
		if !strings.Contains(out, want) {
			t.Errorf("file systems in memory lack %q:\n%s", want, out)
		}
	}
}

func remove(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sleep", "1000")
	refused(t, b, "running", "rm", id)
	b.Docker(t, "rm", "-f", "-v", id)
	refused(t, b, "o such", "inspect", id)
	refused(t, b, "No such container", "rm", id)
}

func removeByServer(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--rm", b.Image, "sleep", "1000")
	if got := b.Inspect(t, id, "{{.HostConfig.AutoRemove}}"); got != "true" {
		t.Errorf("AutoRemove is %s", got)
	}
	b.Docker(t, "stop", "-t", "0", id)
	bed.Eventually(t, func() error {
		if done := b.Try(t, "inspect", id); done.Code == 0 {
			return fmt.Errorf("%s is still there", id)
		}
		return nil
	})
}

// cancelledRemoval is what docker run --rm may print before API 1.25, with any
// engine: the client removes the container itself, and gives its own request up
// when the event of the removal comes before the answer.
var cancelledRemoval = regexp.MustCompile(`^err\n(time=\S+ level=error msg="error removing container: Delete .*: context canceled"\n)?$`)

func runAndRemove(t *testing.T, b *bed.Bed) {
	name := unique(t)
	done := b.Try(t, "run", "--rm", "--name", name, b.Image, "sh", "-c", "echo out; echo err >&2; exit 4")
	if done.Code != 4 || done.Stdout != "out\n" || !cancelledRemoval.MatchString(done.Stderr) {
		t.Errorf("docker run: %+v", done)
	}
	refused(t, b, "o such", "inspect", name)
}

func prune(t *testing.T, b *bed.Bed) {
	label := "for=" + unique(t)
	stopped := created(t, b, "--label", label, b.Image, "true")
	running := b.Run(t, "--label", label, b.Image, "sleep", "1000")
	other := created(t, b, b.Image, "true")
	out := b.Docker(t, "container", "prune", "-f", "--filter", "label="+label)
	if !strings.Contains(out, stopped) || strings.Contains(out, running) || !strings.Contains(out, "Total reclaimed space: ") {
		t.Errorf("docker container prune: %q", out)
	}
	refused(t, b, "o such", "inspect", stopped)
	b.Docker(t, "inspect", running, other)
	refused(t, b, "nvalid filter", "container", "prune", "-f", "--filter", "color=red")
}

func restartPolicy(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--restart", "on-failure:2", b.Image, "sh", "-c", "echo try; exit 5")
	becomes(t, b, id, "{{.State.Running}} {{.State.Restarting}} {{.State.ExitCode}} {{.RestartCount}}", "false false 5 2")
	if out := b.Docker(t, "logs", id); out != "try\ntry\ntry" {
		t.Errorf("the container's log: %q", out)
	}
	always := b.Run(t, "--restart", "always", b.Image, "sleep", "1000")
	before := b.Inspect(t, always, "{{.State.Pid}}")
	b.Docker(t, "exec", always, "kill", "-9", "1")
	b.Docker(t, "stop", "-t", "0", always)
	if got := b.Inspect(t, always, "{{.State.Running}} {{.State.Pid}}"); got != "false 0" {
		t.Errorf("an always-container that was process %s, stopped: %s", before, got)
	}
}

func initProcess(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--init", b.Image, "sleep", "1000")
	out := b.Docker(t, "exec", id, "ps", "-o", "pid,comm")
	if strings.Contains(out, "1 sleep\n") || !strings.Contains(out, "sleep") {
		t.Errorf("the processes of a container with an init:\n%s", out)
	}
	// An init passes signals on: sleep alone, as process 1, would ignore this one.
	b.Docker(t, "stop", "-t", "60", id)
	if got := b.Inspect(t, id, "{{.State.ExitCode}}"); got != "143" {
		t.Errorf("stopped, it ended with %s", got)
	}
}

func stopSignal(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--stop-signal", "USR2", b.Image, "sh", "-c", `trap 'exit 6' USR2; echo up; while :; do sleep 0.1; done`)
	b.Logged(t, id, "up")
	b.Docker(t, "stop", "-t", "60", id)
	if got := b.Inspect(t, id, "{{.State.ExitCode}} {{.Config.StopSignal}}"); got != "6 USR2" {
		t.Errorf("stopped: %s", got)
	}
}

func health(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--health-cmd", "test -e /well", "--health-interval", "1s", "--health-retries", "1", b.Image, "sleep", "1000")
	becomes(t, b, id, "{{.State.Health.Status}}", "unhealthy")
	b.Docker(t, "exec", id, "touch", "/well")
	becomes(t, b, id, "{{.State.Health.Status}} {{.State.Health.FailingStreak}}", "healthy 0")
	if out := b.Docker(t, "ps", "--filter", "health=healthy", "--no-trunc"); !strings.Contains(out, id) || !strings.Contains(out, "(healthy)") {
		t.Errorf("docker ps of healthy containers:\n%s", out)
	}
	none := b.Run(t, "--no-healthcheck", b.Image, "sleep", "1000")
	if got := b.Inspect(t, none, "{{if .State.Health}}{{.State.Health.Status}}{{end}}"); got != "" && got != "none" {
		t.Errorf("health of a container without a check: %s", got)
	}
}
