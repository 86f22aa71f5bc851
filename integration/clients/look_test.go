package clients

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

func TestLook(t *testing.T) {
	withEveryDocker(t, []useCase{
		{"ps", 20, list},
		{"ps filters", 24, listFilters},
		{"ps sizes", 20, listSizes},
		{"inspect", 20, inspect},
		{"inspect sizes", 22, inspectSize},
		{"logs", 20, logs},
		{"logs rotated", 20, logsRotated},
		{"logs of no driver", 20, logsOfNone},
		{"logs of remote drivers", 24, logsOfRemote},
		{"logs until", newest, logsUntil},
		{"stats", 20, stats},
		{"top", 20, top},
		{"diff", 20, diff},
		{"events", 20, events},
		{"info and version", 20, info},
		{"system df", 25, diskUsage},
		{"system prune", 25, systemPrune},
	})
}

func list(t *testing.T, b *bed.Bed) {
	label := "for=" + unique(t)
	running := b.Run(t, "--label", label, b.Image, "sleep", "1000")
	ended := b.Run(t, "--label", label, b.Image, "sh", "-c", "exit 3")
	becomes(t, b, ended, "{{.State.Running}}", "false")
	if out := b.Docker(t, "ps", "-q", "--no-trunc", "--filter", "label="+label); out != running {
		t.Errorf("docker ps lists %q, want %s", out, running)
	}
	if out := b.Docker(t, "ps", "-a", "-q", "--no-trunc", "--filter", "label="+label); out != ended+"\n"+running {
		t.Errorf("docker ps -a lists %q, want the newest first", out)
	}
	out := b.Docker(t, "ps", "-a", "--no-trunc", "--filter", "label="+label)
	for _, want := range []string{running, "Exited (3) ", "Up ", `"sleep 1000"`, b.Image} {
		if !strings.Contains(out, want) {
			t.Errorf("docker ps -a lacks %q:\n%s", want, out)
		}
	}
	if out := b.Docker(t, "ps", "-q", "-n", "1", "--no-trunc"); len(out) != 64 {
		t.Errorf("docker ps -n 1: %q", out)
	}
}

func listFilters(t *testing.T, b *bed.Bed) {
	label, name := "for="+unique(t), unique(t)
	first := b.Run(t, "--label", label, "--name", name+"-first", "-p", "8123", b.Image, "sleep", "1000")
	second := b.Run(t, "--label", label, "--name", name+"-second", b.Image, "sh", "-c", "exit 7")
	becomes(t, b, second, "{{.State.Running}}", "false")
	only := func(want string, filters ...string) {
		t.Helper()
		args := []string{"ps", "-a", "-q", "--no-trunc", "--filter", "label=" + label}
		for _, filter := range filters {
			args = append(args, "--filter", filter)
		}
		if got := b.Docker(t, args...); got != want {
			t.Errorf("docker ps with %q lists %q, want %q", filters, got, want)
		}
	}
	both := second + "\n" + first
	only(first, "id="+first[:12])
	only(first, "name="+name+"-first")
	only(first, "name=^/"+name+"-first$")
	only(both, "name="+name)
	only(first, "status=running")
	only(second, "status=exited")
	only(both, "status=running", "status=exited")
	only(second, "exited=7")
	only("", "exited=8")
	only(both, "ancestor="+b.Image)
	only("", "ancestor=no-such-image")
	only(second, "since="+first)
	only(first, "before="+second)
	only("", "label=for=nothing")
	only(both, "label=for")
	only("", "volume=/nowhere")
	refused(t, b, "nvalid filter", "ps", "--filter", "color=red")
}

func listSizes(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--label", "for="+unique(t), b.Image, "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=3; echo done; sleep 1000")
	b.Logged(t, id, "done")
	out := b.Docker(t, "ps", "-s", "--no-trunc", "--filter", "label=for="+unique(t))
	if !regexp.MustCompile(`3\.\d+ ?MB \(virtual \d`).MatchString(out) {
		t.Errorf("docker ps -s of a container that wrote 3 MiB:\n%s", out)
	}
}

func inspectSize(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=3; echo done; sleep 1000")
	b.Logged(t, id, "done")
	size, err := strconv.Atoi(b.Docker(t, "inspect", "-s", "--format", "{{.SizeRw}}", id))
	if err != nil || size < 3<<20 || size > 4<<20 {
		t.Errorf("docker inspect -s: %d bytes, error %v", size, err)
	}
}

func inspect(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "-p", "8124", b.Image, "sleep", "1000")
	var all []struct {
		ID, Created, Path, Image, Name, Driver, LogPath, HostnamePath, HostsPath, ResolvConfPath string

		Args  []string
		State struct {
			Running, Paused, Restarting, OOMKilled, Dead bool
			Pid, ExitCode                                int
			StartedAt, FinishedAt                        time.Time
		}
		GraphDriver     *struct{ Name string }
		NetworkSettings struct{ Ports map[string]any }
		HostConfig      struct{ LogConfig struct{ Type string } }
	}
	out := b.Docker(t, "inspect", id)
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("docker inspect: %v: %s", err, out)
	}
	c := all[0]
	if c.ID != id || c.Path != "sleep" || fmt.Sprint(c.Args) != "[1000]" || !c.State.Running || c.State.Pid == 0 || c.State.OOMKilled || c.State.Dead {
		t.Errorf("docker inspect: %+v", c)
	}
	if created, err := time.Parse(time.RFC3339Nano, c.Created); err != nil || time.Since(created) > time.Hour || c.State.StartedAt.Before(created) || !c.State.FinishedAt.IsZero() {
		t.Errorf("times: created %s (%v), started %s, finished %s", c.Created, err, c.State.StartedAt, c.State.FinishedAt)
	}
	if c.Driver == "" || c.HostConfig.LogConfig.Type != "json-file" || c.Image == "" {
		t.Errorf("docker inspect: driver %q, log driver %q, image %q", c.Driver, c.HostConfig.LogConfig.Type, c.Image)
	}
	if _, there := c.NetworkSettings.Ports["8124/tcp"]; !there {
		t.Errorf("ports: %v", c.NetworkSettings.Ports)
	}
}

func logs(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; sleep 0.3; echo bad >&2; sleep 1000")
	b.Logged(t, id, "bad")
	done := b.Try(t, "logs", id)
	if done.Stdout != "line 1\nline 2\nline 3\nline 4\nline 5\n" || done.Stderr != "bad\n" {
		t.Errorf("docker logs: %+v", done)
	}
	if done := b.Try(t, "logs", "--tail", "2", id); done.Stdout != "line 5\n" || done.Stderr != "bad\n" {
		t.Errorf("docker logs --tail 2: %+v", done)
	}
	if done := b.Try(t, "logs", "--tail", "0", id); done.Stdout != "" {
		t.Errorf("docker logs --tail 0: %+v", done)
	}
	if done := b.Try(t, "logs", "-t", "--tail", "1", id); !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z bad\n$`).MatchString(done.Stderr) {
		t.Errorf("docker logs -t: %+v", done)
	}
	later := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
	if done := b.Try(t, "logs", "--since", later, id); done.Stdout != "" {
		t.Errorf("docker logs --since in an hour: %+v", done)
	}
	if done := b.Try(t, "logs", "--since", "1", id); !strings.HasPrefix(done.Stdout, "line 1\n") {
		t.Errorf("docker logs --since 1970: %+v", done)
	}
}

func logsRotated(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--log-opt", "max-size=20k", "--log-opt", "max-file=3", b.Image,
		"sh", "-c", "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line number $i; done; echo finished")
	becomes(t, b, id, "{{.State.Running}}", "false")
	lines := strings.Split(b.Docker(t, "logs", id), "\n")
	if len(lines) >= 2001 || len(lines) < 100 || lines[len(lines)-1] != "finished" {
		t.Fatalf("a rotated log has %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	for i, line := range lines[:len(lines)-1] {
		if want := fmt.Sprintf("line number %d", 2001-len(lines)+i+1); line != want {
			t.Fatalf("line %d of a rotated log is %q, want %q", i, line, want)
		}
	}
}

func logsOfNone(t *testing.T, b *bed.Bed) {
	none := b.Run(t, "--log-driver", "none", b.Image, "sh", "-c", "echo unheard; sleep 1000")
	refused(t, b, "logging driver", "logs", none) // in words that changed with the versions
	if got := b.Inspect(t, none, "{{.HostConfig.LogConfig.Type}}"); got != "none" {
		t.Errorf("the log driver is %s", got)
	}
}

// logsOfRemote has a driver that sends lines away and keeps a copy, which newer clients ask for.
func logsOfRemote(t *testing.T, b *bed.Bed) {
	remote := b.Run(t, "--log-driver", "gelf", "--log-opt", "gelf-address=udp://"+strings.TrimSuffix(b.Address, ":5000")+":12201", b.Image,
		"sh", "-c", "echo heard twice; sleep 1000")
	b.Logged(t, remote, "heard twice")
	refused(t, b, "no-such-driver", "run", "-d", "--log-driver", "no-such-driver", b.Image, "true")
	refused(t, b, "no-such-option", "run", "-d", "--log-opt", "no-such-option=1", b.Image, "true")
}

func logsUntil(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "echo early; sleep 1.5; echo late; sleep 1000")
	b.Logged(t, id, "late")
	stamp, _, _ := strings.Cut(b.Docker(t, "logs", "-t", "--tail", "1", id), " ")
	late, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		t.Fatal(err)
	}
	if out := b.Docker(t, "logs", "--until", late.Add(-500*time.Millisecond).Format(time.RFC3339Nano), id); out != "early" {
		t.Errorf("docker logs --until: %q", out)
	}
	follow := b.Docker(t, "logs", "-f", "--until", time.Now().Add(2*time.Second).Format(time.RFC3339Nano), id)
	if follow != "early\nlate" {
		t.Errorf("docker logs -f --until: %q", follow)
	}
}

func stats(t *testing.T, b *bed.Bed) {
	id := b.Run(t, "--memory", "64m", b.Image, "sleep", "1000")
	out := b.Docker(t, "stats", "--no-stream", id)
	for _, want := range []string{id[:12], "%", "/"} {
		if !strings.Contains(out, want) {
			t.Errorf("docker stats lacks %q:\n%s", want, out)
		}
	}
	if !regexp.MustCompile(`64 ?MiB|67\.11 MB`).MatchString(out) {
		t.Errorf("docker stats does not show the limit of 64 MiB:\n%s", out)
	}
	refused(t, b, "o such container", "stats", "--no-stream", "nobody-has-this")
}

func top(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sleep", "1000")
	if out := b.Docker(t, "top", id); !strings.Contains(out, "PID") || !strings.Contains(out, "sleep 1000") {
		t.Errorf("docker top:\n%s", out)
	}
	if out := b.Docker(t, "top", id, "-o", "pid,comm"); !regexp.MustCompile(`(?m)^PID +COMMAND\s*\n\d+ +sleep\s*$`).MatchString(out) {
		t.Errorf("docker top -o pid,comm: %q", out)
	}
	ended := b.Run(t, b.Image, "true")
	becomes(t, b, ended, "{{.State.Running}}", "false")
	refused(t, b, "is not running", "top", ended)
}

func diff(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "mkdir /new; echo x > /new/file; echo x >> /etc/group; rm /etc/passwd; echo done; sleep 1000")
	b.Logged(t, id, "done")
	for _, when := range []string{"running", "stopped"} {
		got := map[string]bool{}
		for line := range strings.Lines(b.Docker(t, "diff", id)) {
			got[strings.TrimSpace(line)] = true
		}
		for _, want := range []string{"A /new", "A /new/file", "C /etc", "C /etc/group", "D /etc/passwd"} {
			if !got[want] {
				t.Errorf("docker diff of a %s container lacks %q: %v", when, want, got)
			}
		}
		if len(got) != 5 {
			t.Errorf("docker diff of a %s container: %v", when, got)
		}
		b.Docker(t, "stop", "-t", "0", id)
	}
}

func events(t *testing.T, b *bed.Bed) {
	since := strconv.FormatInt(time.Now().Add(-time.Second).Unix(), 10)
	id := b.Run(t, "--name", unique(t), "--label", "k=v", b.Image, "sh", "-c", "exit 4")
	b.Docker(t, "wait", id)
	b.Docker(t, "rename", unique(t), unique(t)+"-2")
	b.Docker(t, "start", id)
	b.Docker(t, "wait", id)
	b.Docker(t, "rm", id)
	until := strconv.FormatInt(time.Now().Add(time.Second).Unix(), 10)
	out := b.Docker(t, "events", "--since", since, "--until", until, "--filter", "container="+id)
	at := 0
	for _, action := range []string{"create", "start", "die", "rename", "start", "die", "destroy"} {
		found := regexp.MustCompile(`\b` + action + `\b`).FindStringIndex(out[at:])
		if found == nil {
			t.Fatalf("docker events lacks %s, in order:\n%s", action, out)
		}
		at += found[1]
	}
	only := b.Docker(t, "events", "--since", since, "--until", until, "--filter", "container="+id, "--filter", "event=die")
	if n := len(strings.Split(only, "\n")); n != 2 {
		t.Errorf("docker events of ends has %d lines:\n%s", n, only)
	}
}

func info(t *testing.T, b *bed.Bed) {
	if out := b.Docker(t, "version"); !strings.Contains(out, "Server:") {
		t.Errorf("docker version:\n%s", out)
	}
	out := b.Docker(t, "info")
	for _, want := range []string{"Containers: ", "Images: ", "CPUs: ", "Total Memory: "} {
		if !strings.Contains(out, want) {
			t.Errorf("docker info lacks %q:\n%s", want, out)
		}
	}
}

func diskUsage(t *testing.T, b *bed.Bed) {
	id := b.Run(t, b.Image, "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=3; echo done; sleep 1000")
	b.Logged(t, id, "done")
	out := b.Docker(t, "system", "df")
	for _, want := range []string{"Images", "Containers", "Local Volumes", "Build Cache"} {
		if !strings.Contains(out, want) {
			t.Errorf("docker system df lacks %q:\n%s", want, out)
		}
	}
	if out := b.Docker(t, "system", "df", "-v"); !regexp.MustCompile(id[:12] + `.* 3\.\d+MB`).MatchString(out) {
		t.Errorf("docker system df -v does not show the container's size:\n%s", out)
	}
}

func systemPrune(t *testing.T, b *bed.Bed) {
	label := "for=" + unique(t)
	stopped := created(t, b, "--label", label, b.Image, "true")
	other := created(t, b, b.Image, "true")
	if out := b.Docker(t, "system", "prune", "-f", "--filter", "label="+label); !strings.Contains(out, stopped) || strings.Contains(out, other) {
		t.Errorf("docker system prune: %q", out)
	}
}
