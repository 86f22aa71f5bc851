package dockerapi

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// docker is the machine's docker command, pointed at the API in front of f.
type docker struct {
	t    *testing.T
	host string
}

func dockerFor(t *testing.T, f *fake) docker {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("needs the docker command: install docker-cli")
	}
	return docker{t, strings.Replace(f.serve(t).URL, "http", "tcp", 1)}
}

// run runs a command with the given standard input, and returns what it
// printed on both outputs and its exit code.
func (d docker) run(stdin string, args ...string) (string, int) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "docker", args...)
	c.Env = []string{"DOCKER_HOST=" + d.host, "HOME=" + d.t.TempDir(), "PATH=/usr/bin:/bin:/usr/local/bin"}
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		d.t.Fatalf("docker %v does not end; it printed %s", args, out)
	}
	if err != nil && c.ProcessState == nil {
		d.t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// ok runs a command that must succeed.
func (d docker) ok(args ...string) string {
	d.t.Helper()
	out, code := d.run("", args...)
	if code != 0 {
		d.t.Fatalf("docker %v: exit %d: %s", args, code, out)
	}
	return out
}

func TestDockerRun(t *testing.T) {
	t.Parallel()
	d := dockerFor(t, newFake())
	if out := d.ok("run", "--rm", "busybox", "echo", "hello", "world"); out != "hello world\n" {
		t.Errorf("run printed %q", out)
	}
	if out, code := d.run("", "run", "--rm", "busybox", "exit", "37"); code != 37 {
		t.Errorf("exit code %d, want 37 (%s)", code, out)
	}
	if out, code := d.run("one\ntwo\n", "run", "-i", "--name", "copy", "busybox", "cat"); out != "one\ntwo\n" || code != 0 {
		t.Errorf("the echo of input is %q, exit %d", out, code)
	}
	if out := d.ok("ps", "-a", "--format", "{{.Names}} {{.Status}} {{.Command}}"); !regexp.MustCompile(`^copy Exited \(0\) (Less than a|1|2|3) seconds? ago "cat"\n$`).MatchString(out) {
		t.Errorf("ps printed %q", out)
	}
	if out, code := d.run("", "run", "nothere", "true"); code == 0 || !strings.Contains(out, "no registry") && !strings.Contains(out, "internal error") {
		t.Errorf("a pull that fails: exit %d: %s", code, out)
	}
}

func TestDockerLife(t *testing.T) {
	t.Parallel()
	f := newFake()
	d := dockerFor(t, f)
	id := strings.TrimSpace(d.ok("run", "-d", "--name", "web", "-p", "80", "-l", "tier=front", "busybox", "sleep", "60"))
	if !model.IsID(id) {
		t.Fatalf("run -d printed %q", id)
	}
	out := d.ok("ps")
	if !regexp.MustCompile(`(?m)^` + id[:12] + `\s+busybox\s+"sleep 60"\s+.*Up .*10\.88\.0\.7:80->80/tcp\s+web$`).MatchString(out) {
		t.Errorf("ps printed %s", out)
	}
	for want, args := range map[string][]string{
		"10.88.0.7":       {"inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"},
		"running true 42": {"inspect", "-f", "{{.State.Status}} {{.State.Running}} {{.State.Pid}}", id[:6]},
		"front":           {"inspect", "-f", "{{.Config.Labels.tier}}", "web"},
		"default no":      {"inspect", "-f", "{{.HostConfig.NetworkMode}} {{.HostConfig.RestartPolicy.Name}}", "web"},
		"10.88.0.7:80":    {"port", "web", "80"},
		"1  sh -ef":       {"top", "web"},
		"web":             {"ps", "--filter", "label=tier=front", "--filter", "network=external", "--format", "{{.Names}}"},
		"a line":          {"logs", "--tail", "3", "web"},
		"hi there":        {"exec", "web", "echo", "hi", "there"},
	} {
		if got := strings.Join(strings.Fields(d.ok(args...)), " "); !strings.Contains(got, strings.Join(strings.Fields(want), " ")) {
			t.Errorf("docker %v printed %q, want %q", args, got, want)
		}
	}
	if f.logged.Tail != 3 || !f.logged.Stdout || f.logged.Follow {
		t.Errorf("logs asked for %+v", f.logged)
	}
	if out, code := d.run("", "exec", "web", "exit", "9"); code != 9 {
		t.Errorf("exec: exit %d: %s", code, out)
	}
	if out, code := d.run("in\n", "exec", "-i", "web", "cat"); code != 0 || out != "in\n" {
		t.Errorf("exec -i: exit %d: %q", code, out)
	}
	if out, code := d.run("", "rm", "web"); code == 0 || !strings.Contains(out, "container is running") {
		t.Errorf("rm of a running container: exit %d: %s", code, out)
	}
	d.ok("rename", "web", "www")
	d.ok("stop", "www")
	d.ok("wait", "www")
	d.ok("rm", "-f", "www")
	if out := d.ok("ps", "-aq"); out != "" {
		t.Errorf("after rm ps printed %q", out)
	}
}

func TestDockerImagesAndInfo(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.pull = func(progress func(wire.PullProgress)) (PullResult, error) {
		for _, status := range []string{"Pulling fs layer", "Downloading", "Download complete", "Pull complete"} {
			progress(wire.PullProgress{Layer: "0123456789ab", Status: status})
		}
		return PullResult{Digest: "sha256:" + strings.Repeat("e", 64), New: true}, nil
	}
	d := dockerFor(t, f)
	out := d.ok("pull", "busybox:1.36")
	for _, want := range []string{
		"1.36: Pulling from library/busybox", "0123456789ab: Pull complete",
		"Digest: sha256:eeee", "Status: Downloaded newer image for busybox:1.36", "docker.io/library/busybox:1.36",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("pull printed %s, want %q", out, want)
		}
	}
	if f.pulled.Ref != "docker.io/library/busybox:1.36" {
		t.Errorf("pulled %q", f.pulled.Ref)
	}
	if out := d.ok("images"); !regexp.MustCompile(`busybox\s+latest\s+111111111111\s+.*4\.2MB`).MatchString(out) {
		t.Errorf("images printed %s", out)
	}
	if out := d.ok("image", "inspect", "-f", "{{.RepoTags}} {{.Config.Cmd}} {{index .RepoDigests 0}}", "busybox"); !strings.HasPrefix(out, "[busybox:latest] [sh] busybox@sha256:eee") {
		t.Errorf("image inspect printed %s", out)
	}
	if out := d.ok("history", "busybox"); !strings.Contains(out, "CMD sh") || !strings.Contains(out, "<missing>") {
		t.Errorf("history printed %s", out)
	}
	d.ok("tag", "busybox", "mine:v1")
	if out := d.ok("rmi", "busybox"); !strings.Contains(out, "Untagged: busybox") {
		t.Errorf("rmi printed %s", out)
	}
	out = d.ok("info")
	for _, want := range []string{"SDCAccount: jill", "CPUs: 8", "Total Memory: 16GiB", "Swarm: inactive", "Storage Driver: spearhead", "Operating System: Debian 12"} {
		if !strings.Contains(out, want) {
			t.Errorf("info lacks %q:\n%s", want, out)
		}
	}
	if out := d.ok("version"); !strings.Contains(out, "Spearhead") || !strings.Contains(out, "minimum version 1.20") {
		t.Errorf("version printed %s", out)
	}
}

func TestDockerPullErrorInStream(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.pull = func(progress func(wire.PullProgress)) (PullResult, error) {
		progress(wire.PullProgress{Layer: "0123456789ab", Status: "Pulling fs layer"})
		return PullResult{}, model.Errorf(model.KindUnavailable, "the registry went away")
	}
	d := dockerFor(t, f)
	if out, code := d.run("", "pull", "busybox"); code == 0 || !strings.Contains(out, "the registry went away") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestDockerEvents(t *testing.T) {
	t.Parallel()
	f := newFake()
	at := time.Now().Add(-time.Hour)
	f.events = []model.Event{
		{Time: at, Type: "container", Action: "create", ActorID: "c1", Attributes: map[string]string{"image": "busybox", "name": "web"}},
		{Time: at.Add(time.Second), Type: "container", Action: "die", ActorID: "c1", Attributes: map[string]string{"image": "busybox", "name": "web", "exitCode": "3"}},
		{Time: at.Add(2 * time.Second), Type: "image", Action: "pull", ActorID: "busybox:latest", Attributes: map[string]string{"name": "busybox"}},
	}
	d := dockerFor(t, f)
	out := d.ok("events", "--since", "2h", "--until", "1s", "--filter", "container=web", "--filter", "event=die")
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, "container die c1 (exitCode=3, image=busybox, name=web)") {
		t.Errorf("events printed %s", out)
	}
}
