package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestStepsHaveTheLimitsOfThePackage lets a step take all memory, and another
// one all processes, that it is given. The rack's default package has 1 GiB
// and 4,096 processes.
func TestStepsHaveTheLimitsOfThePackage(t *testing.T) {
	b := builders(t)[0]
	for step, want := range map[string]string{
		// The shell's variable grows until it is killed.
		`RUN awk 'BEGIN { s = "x"; while (length(s) < 600000000) s = s s; print "it has " length(s) }'`: "non-zero code: 137",
		`RUN i=0; while [ $i -lt 5000 ]; do sleep 20 & i=$((i+1)); done; echo all of them`:              "can't fork",
	} {
		done := b.bed.Try(t, "build", "--no-cache", folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\n" + step + "\n"}))
		if said := done.Stdout + done.Stderr; done.Code == 0 || !strings.Contains(said, want) {
			t.Errorf("%s: exit code %d, without %q: %s", step, done.Code, want, said)
		}
	}
	b.built(t, "after-limits", folder(t, map[string]string{"Dockerfile": "FROM " + b.bed.Image + "\nRUN true\n"}))
}

// TestACutBuildLeavesNothing has a client that is killed in the middle of a
// step. What the step mounted and ran is gone, and all that it made can be
// pruned.
func TestACutBuildLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, b builder) {
		own := builder{b.name, b.bed.Tenant(t, b.name+"-cut").With("", "DOCKER_BUILDKIT="+map[bool]string{true: "0", false: "1"}[b.name == "classic"])}
		if b.name != "classic" {
			own.bed = withPlugin(t, own.bed)
		}
		own.bed.Docker(t, "pull", "-q", own.bed.Image)
		dir := folder(t, map[string]string{"Dockerfile": "FROM " + own.bed.Image + "\nRUN echo kept >/kept\nRUN sleep 4321.25\n"})
		client := own.bed.Command(t, "build", dir)
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		bed.Eventually(t, func() error {
			if !sleeps("4321.25") {
				return errors.New("the step has not begun")
			}
			return nil
		})
		groups := groupsOfSteps(t)
		if len(groups) == 0 {
			t.Error("the step has no control group")
		}
		if err := client.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		client.Wait()
		bed.Eventually(t, func() error {
			if sleeps("4321.25") {
				return errors.New("the step goes on")
			}
			for _, group := range groups {
				if _, err := os.Stat(group); err == nil {
					return fmt.Errorf("the step left %s", group)
				}
			}
			return nil
		})
		bed.Eventually(t, func() error {
			own.bed.Docker(t, "builder", "prune", "-af")
			if n := own.bed.Docker(t, "system", "df", "--format", "{{if eq .Type \"Build Cache\"}}{{.TotalCount}}{{end}}"); n != "0" {
				return fmt.Errorf("when all was pruned the builder keeps %q", n)
			}
			return nil
		})
	})
}

// withPlugin gives a tenant's docker the plugin.
func withPlugin(t *testing.T, b *bed.Bed) *bed.Bed {
	t.Helper()
	plugins := filepath.Join(b.Setting("DOCKER_CONFIG"), "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(buildx(t), filepath.Join(plugins, "docker-buildx")); err != nil {
		t.Fatal(err)
	}
	return b
}

// groupsOfSteps are the control groups of steps that builds of this rack run.
func groupsOfSteps(t *testing.T) []string {
	t.Helper()
	index := setting.Shared(t).Index()
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/pids/spearhead-rack-%s/*/builder-*/steps/buildkit/*", "/sys/fs/cgroup/spearhead-rack-%s/*/builder-*/steps/buildkit/*"} {
		all, err := filepath.Glob(fmt.Sprintf(pattern, index))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range all {
			if st, err := os.Stat(path); err == nil && st.IsDir() {
				found = append(found, path)
			}
		}
	}
	return found
}
