package integration

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// refusedRun fails unless docker run is refused with all parts of a text.
func refusedRun(t *testing.T, b *bed.Bed, args []string, parts ...string) {
	t.Helper()
	done := b.Try(t, append([]string{"run", "-d"}, args...)...)
	if done.Code == 0 {
		b.Remove(t, strings.TrimSpace(done.Stdout))
		t.Errorf("docker run %v was not refused", args)
		return
	}
	for _, part := range parts {
		if !strings.Contains(done.Stderr, part) {
			t.Errorf("docker run %v: %q lacks %q", args, done.Stderr, part)
		}
	}
}

func TestPackagesAreChosenAndHeld(t *testing.T) {
	b := sharedBed(t)
	dana := b.Tenant(t, "dana")
	b.Operator(t, "package", "create", "own-48m", "--memory", "48m", "--cpus", "0.5", "--pids", "50", "--owner", "dana", "--family", "tests")
	t.Cleanup(func() { b.Operator(t, "package", "rm", "own-48m") })
	id := dana.Run(t, "--label", "spearhead.package=own-48m", dana.Image, "sleep", "1000")
	if got := dana.Inspect(t, id, `{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{index .Config.Labels "com.joyent.package"}}`); got != "50331648 500000000 50 own-48m" {
		t.Errorf("the container has %q", got)
	}
	for _, label := range []string{"com.joyent.package", "spearhead.package"} {
		if got := dana.Docker(t, "ps", "-q", "--no-trunc", "--filter", "label="+label+"=own-48m"); got != id {
			t.Errorf("docker ps by %s lists %q", label, got)
		}
	}
	refusedRun(t, b, []string{"--label", "spearhead.package=own-48m", b.Image, "true"}, `no package "own-48m"`)
	refusedRun(t, dana, []string{"--label", "spearhead.package=own-48m", "-m", "1g", dana.Image, "true"}, "package own-48m has 50331648 bytes of memory")
	if shown := b.Operator(t, "package", "show", "own-48m"); !strings.Contains(shown, "dana") || !strings.Contains(shown, "48MiB") {
		t.Errorf("package show:\n%s", shown)
	}
}

func TestAccountLimitsAreToldAndHeld(t *testing.T) {
	b := sharedBed(t)
	carl := b.Tenant(t, "carl")
	b.Operator(t, "account", "limit", "carl", "--containers", "1", "--memory", "1g")
	carl.Run(t, "-m", "64m", carl.Image, "sleep", "1000")
	refusedRun(t, carl, []string{"-m", "64m", carl.Image, "true"}, "Quota exceeded: this account may have 1 containers and has 1")
	b.Operator(t, "account", "limit", "carl", "--containers", "unlimited", "--memory", "100m")
	refusedRun(t, carl, []string{"-m", "64m", carl.Image, "true"}, "Quota exceeded: this account may use 100 MiB of memory and has taken 64 MiB")
	if shown := b.Operator(t, "account", "limit", "carl"); !strings.Contains(shown, "100MiB") || !strings.Contains(shown, "64MiB") {
		t.Errorf("account limit:\n%s", shown)
	}
}

func TestAffinitiesAreKeptAndExplained(t *testing.T) {
	b := sharedBed(t)
	erin := b.Tenant(t, "erin")
	first := erin.Run(t, "--name", "first", "--label", "app=web", erin.Image, "sleep", "1000")
	refusedRun(t, erin, []string{"-e", "affinity:container==nobody", erin.Image, "true"},
		`No compute resources available: no active containers found matching "nobody" for affinity "container==nobody"`)
	refusedRun(t, erin, []string{"-e", "affinity:x==y", erin.Image, "true"}, `invalid affinity "x==y"`)
	refusedRun(t, erin, []string{"--label", `com.docker.swarm.affinities=["rack==r1","app==web"]`, erin.Image, "true"}, "excluded by affinity rack==r1")
	second := erin.Run(t, "-e", "affinity:container==first", "-e", "KEPT=1", erin.Image, "sleep", "1000")
	if got := erin.Docker(t, "exec", second, "env"); strings.Contains(got, "affinity") || !strings.Contains(got, "KEPT=1") {
		t.Errorf("the container's environment is %q", got)
	}
	if got := erin.Inspect(t, second, `{{index .Config.Labels "com.docker.swarm.affinities"}} {{.Node.Name}}`); got != `["container==first"] `+erin.Inspect(t, first, "{{.Node.Name}}") {
		t.Errorf("the container is %q", got)
	}
	shown := b.Operator(t, "placement", "explain", "erin", "--image", erin.Image, "--affinity", "zone==z9")
	if !strings.Contains(shown, "excluded by affinity zone==z9") {
		t.Errorf("placement explain:\n%s", shown)
	}
	if shown := b.Operator(t, "placement", "explain", "erin", "--memory", "64m"); !strings.Contains(shown, "it would go to ") {
		t.Errorf("placement explain:\n%s", shown)
	}
}
