package integration

import (
	"strings"
	"sync"
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

// The acceptance cases of packages, by their numbers. That limits hold among requests at once
// (R6) is tested more closely in headnode/containers and raftstore/state.
func TestPackagesByTheList(t *testing.T) {
	b := sharedBed(t)
	ruth := b.Tenant(t, "ruth")
	offer := func(name string, options ...string) (id string) {
		b.Operator(t, append([]string{"package", "create", name, "--family", "list"}, options...)...)
		t.Cleanup(func() { b.Operator(t, "package", "rm", name) })
		for line := range strings.Lines(b.Operator(t, "package", "show", name)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "id" {
				id = fields[1]
			}
		}
		return id
	}
	id := offer("list-40m", "--memory", "40m")
	offer(id[:8], "--memory", "44m") // a name that is the other's short id
	offer("list-bobs", "--memory", "40m", "--owner", "dev")
	offer("list-old", "--memory", "40m")
	b.Operator(t, "package", "deactivate", "list-old")
	of := func(t *testing.T, args ...string) string {
		t.Helper()
		made := ruth.Run(t, append(args, ruth.Image, "sleep", "1000")...)
		return ruth.Inspect(t, made, `{{index .Config.Labels "com.joyent.package"}} {{.HostConfig.Memory}}`)
	}
	const label = "com.joyent.package="
	t.Run("R1 by id, name and short id", func(t *testing.T) {
		for ref, want := range map[string]string{id: "list-40m 41943040", "list-40m": "list-40m 41943040", id[:8]: id[:8] + " 46137344"} {
			if got := of(t, "--label", label+ref); got != want {
				t.Errorf("%s is %s, want %s", ref, got, want)
			}
		}
		b.Operator(t, "package", "deactivate", id[:8])
		if got := of(t, "--label", label+id[:8]); got != "list-40m 41943040" {
			t.Errorf("the short id alone is %s", got)
		}
	})
	t.Run("R2 bad names", func(t *testing.T) {
		for _, name := range []string{"-x1", "x1-", "a..b", "a__b", "a.-b", "a b", "a\tb", "a☃b", "x"} {
			refusedRun(t, ruth, []string{"--label", label + name, ruth.Image, "true"}, "invalid value for com.joyent.package")
		}
	})
	t.Run("R3 of others, inactive, unknown", func(t *testing.T) {
		for _, name := range []string{"list-bobs", "list-old", "list-none"} {
			refusedRun(t, ruth, []string{"--label", label + name, ruth.Image, "true"}, `no package "`+name+`"`)
		}
	})
	t.Run("R4 filter", func(t *testing.T) {
		made := ruth.Run(t, "--label", label+"list-40m", "--label", "r4=yes", ruth.Image, "sleep", "1000")
		if got := ruth.Docker(t, "ps", "-q", "--no-trunc", "--filter", "label=r4=yes", "--filter", "label="+label+"list-40m"); got != made {
			t.Errorf("docker ps lists %q", got)
		}
		if got := ruth.Docker(t, "ps", "-q", "--filter", "label=r4=yes", "--filter", "label="+label+"g1-128m"); got != "" {
			t.Errorf("docker ps of another package lists %q", got)
		}
	})
	t.Run("R5 the last label wins, and beats -m", func(t *testing.T) {
		if got := of(t, "--label", label+"g1-128m", "--label", label+"list-40m"); got != "list-40m 41943040" {
			t.Errorf("two labels: %s", got)
		}
		if got := of(t, "--label", label+"list-40m", "-m", "20m"); got != "list-40m 20971520" {
			t.Errorf("a label and -m: %s", got)
		}
	})
	t.Run("R6 limits among creates at once", func(t *testing.T) {
		limits := b.Tenant(t, "rosa")
		limits.Docker(t, "pull", limits.Image)
		b.Operator(t, "account", "limit", "rosa", "--containers", "3", "--volumes", "2")
		count := func(attempts int, args ...string) (good int) {
			done := parallel(attempts, func() int { return limits.Try(t, args...).Code })
			for _, code := range done {
				if code == 0 {
					good++
				}
			}
			return good
		}
		if n := count(8, "create", limits.Image, "true"); n != 3 {
			t.Errorf("%d containers of 3 allowed were made", n)
		}
		if n := count(6, "volume", "create"); n != 2 {
			t.Errorf("%d volumes of 2 allowed were made", n)
		}
		for _, made := range strings.Fields(limits.Docker(t, "ps", "-aq")) {
			limits.Remove(t, made)
		}
		limits.Docker(t, "volume", "prune", "-a", "-f")
	})
}

// parallel calls do so many times at once.
func parallel(times int, do func() int) []int {
	results := make([]int, times)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = do() })
	}
	all.Wait()
	return results
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
