package metal

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// agentPID is the process that systemd runs as the agent.
func (s *site) agentPID(t *testing.T) string {
	t.Helper()
	return s.root(t, "systemctl show -P MainPID spearhead-agent")
}

// works waits until the data center starts a container and tells what it said.
func (s *site) works(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		if done := s.Try(t, "run", "--rm", s.Image, "echo", "it works"); strings.TrimSpace(done.Stdout) != "it works" {
			return fmt.Errorf("docker run: %+v", done)
		}
		return nil
	})
}

func TestContainersOutliveTheirAgent(t *testing.T) {
	s := tests.site(t)
	id := s.Run(t, s.Image, "sh", "-c", "i=0; while :; do echo tick $((i=i+1)); sleep 1; done")
	s.logged(t, id, "tick 1\n")
	started := s.Inspect(t, id, "{{.State.StartedAt}}")
	names := s.root(t, "pgrep -f '^/usr/bin/spearhead names'")
	s.newer(t, "/root/newer.deb")
	const apt = "apt-get install -y --no-install-recommends -o APT::Sandbox::User=root "
	for _, step := range []struct{ name, command string }{
		{"killed", "kill -9 $(systemctl show -P MainPID spearhead-agent)"},
		{"restarted", "systemctl restart spearhead-agent"},
		{"replaced", apt + "--reinstall /root/spearhead.deb"},
		{"upgraded", apt + "/root/newer.deb && mv /root/newer.deb /root/spearhead.deb"},
		{"hanging", "kill -STOP $(systemctl show -P MainPID spearhead-agent)"},
	} {
		name, command := step.name, step.command
		before := s.agentPID(t)
		s.root(t, command)
		eventually(t, func() error {
			if now := s.agentPID(t); now == before || now == "0" {
				return fmt.Errorf("%s: the agent is still process %s", name, now)
			}
			return nil
		})
		s.works(t)
		if got := s.Inspect(t, id, "{{.State.Status}} {{.State.StartedAt}}"); got != "running "+started {
			t.Errorf("%s: the container is %s; it was started %s", name, got, started)
		}
		if got := s.Docker(t, "exec", id, "echo", "here"); got != "here" {
			t.Errorf("%s: exec says %q", name, got)
		}
		if got := s.root(t, "pgrep -f '^/usr/bin/spearhead names'"); got != names {
			t.Errorf("%s: names are resolved by process %s, and were by %s", name, got, names)
		}
	}
	if got := s.root(t, "dpkg-query -W -f '${Version} ${Status}' spearhead"); !strings.HasSuffix(got, "+newer install ok installed") {
		t.Errorf("after the upgrade there is %s", got)
	}
	// Its log goes on.
	last := strings.Count(s.Docker(t, "logs", id), "tick")
	s.logged(t, id, fmt.Sprintf("tick %d\n", last+3))
}

// newer puts the package into the machine as a later version of itself.
func (s *site) newer(t *testing.T, to string) {
	t.Helper()
	tree, deb := filepath.Join(t.TempDir(), "tree"), filepath.Join(t.TempDir(), "newer.deb")
	for _, args := range [][]string{
		{"dpkg-deb", "-R", tests.deb, tree},
		{"sed", "-i", "s/^Version: .*/&+newer/", filepath.Join(tree, "DEBIAN/control")},
		{"dpkg-deb", "-Znone", "--root-owner-group", "-b", tree, deb},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	if err := s.machine.Put(t.Context(), deb, to); err != nil {
		t.Fatal(err)
	}
}

// boots has containers of every kind, boots the machine anew, and tells what is to be there.
func boots(t *testing.T, s *site, boot func() error, goneWith string) {
	t.Helper()
	name := s.volume(t, "booted", "-o", "size=32m")
	back := s.Run(t, "--restart", "always", "-v", name+":/data", "-m", "64m", s.Image, "sh", "-c", "echo boot >> /data/boots; sync; sleep 100000")
	gone := s.Run(t, s.Image, "sleep", "100000")
	stopped := s.Run(t, "--restart", "unless-stopped", s.Image, "sleep", "100000")
	s.Docker(t, "stop", "-t", "0", stopped)
	eventually(t, func() error {
		if done := s.Try(t, "exec", back, "cat", "/data/boots"); done.Stdout != "boot\n" {
			return fmt.Errorf("it has not begun: %+v", done)
		}
		return nil
	})
	s.Docker(t, "exec", back, "sh", "-c", "echo written > /root-file; echo kept > /data/file; sync")
	if err := boot(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if done := s.Try(t, "exec", back, "cat", "/data/boots", "/data/file", "/root-file"); done.Stdout != "boot\nboot\nkept\nwritten\n" {
			return fmt.Errorf("after the boot: %+v", done)
		}
		return nil
	})
	if got := s.control(t, back, "memory.max"); got != "67108864" {
		t.Errorf("after the boot its memory.max is %s", got)
	}
	eventually(t, func() error { return s.Exited(t, gone) })
	if got := s.Inspect(t, gone, "{{.State.ExitCode}}"); got != goneWith {
		t.Errorf("one that is not started again has ended with %s, want %s", got, goneWith)
	}
	if err := s.Exited(t, stopped); err != nil {
		t.Errorf("stopped before the boot: %v", err)
	}
	s.works(t)
	if got := s.root(t, "systemctl --failed --no-legend; zpool list -H -o health bay"); got != "ONLINE" {
		t.Errorf("after the boot: %s", got)
	}
}

// A machine that goes down in good order ends its containers by their signals, and kills those
// that do not heed them: what systemd would wait for, it does not find.
func TestABootBringsContainersBack(t *testing.T) {
	s := tests.site(t)
	heeds := s.Run(t, s.Image, "sh", "-c", "trap 'echo farewell; exit 3' TERM; echo ready; while :; do sleep 1; done")
	s.logged(t, heeds, "ready")
	own := s.Run(t, "--stop-signal", "USR1", s.Image, "sh", "-c", "trap 'exit 4' USR1; echo ready; while :; do sleep 1; done")
	s.logged(t, own, "ready")
	boots(t, s, func() error { return s.machine.Reboot(t.Context()) }, "137")
	for id, want := range map[string]string{heeds: "3", own: "4"} {
		if got := s.Inspect(t, id, "{{.State.Status}} {{.State.ExitCode}}"); got != "exited "+want {
			t.Errorf("it was asked to end and is %s; want exited %s", got, want)
		}
	}
	s.logged(t, heeds, "farewell")
	if said := s.root(t, "journalctl -b -1 -o cat -u spearhead-containers"); !strings.Contains(said, " containers have ended") {
		t.Errorf("when the machine went down, it said\n%s", said)
	}
}

func TestALossOfPowerLosesNothingThatWasWritten(t *testing.T) {
	s := tests.site(t)
	boots(t, s, func() error { return s.machine.Reset(t.Context()) }, "255")
}
