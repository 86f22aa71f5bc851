package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/raftstore"
)

// repository is the root of the source.
const repository = "../.."

func TestDefaultConfigurationsAreUnderstood(t *testing.T) {
	for name, into := range map[string]any{"head.toml": &headFile{}, "agent.toml": &agentFile{}} {
		if err := readConfig(filepath.Join(repository, "packaging/etc", name), into); err != nil {
			t.Error(err)
		}
	}
}

// copyTree copies what a package is made of, with a program that only tells its version.
func copyTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	for _, folder := range []string{"packaging", "scripts", "docs/operators"} {
		if err := os.CopyFS(filepath.Join(tree, folder), os.DirFS(filepath.Join(repository, folder))); err != nil {
			t.Fatal(err)
		}
	}
	license, err := os.ReadFile(filepath.Join(repository, "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(tree, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"LICENSE": string(license), "bin/spearhead": "#!/bin/sh\necho v1.2.3-4-gabc-dirty\n"} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func TestThePackageHoldsAllThatAMachineNeeds(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("needs dpkg-deb: apt install dpkg")
	}
	tree := copyTree(t)
	out, err := exec.Command(filepath.Join(tree, "scripts/deb")).CombinedOutput()
	if err != nil {
		t.Fatalf("scripts/deb: %v, %s", err, out)
	}
	deb := filepath.Join(tree, strings.TrimSpace(string(out)))
	if !strings.HasPrefix(filepath.Base(deb), "spearhead_1.2.3.4.gabc.dirty_") {
		t.Errorf("it is called %s", filepath.Base(deb))
	}
	list, err := exec.Command("dpkg-deb", "-c", deb).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"./usr/bin/spearhead", "./lib/systemd/system/spearhead-head.service", "./lib/systemd/system/spearhead-agent.service", "./lib/systemd/system/spearhead-containers.service",
		"./etc/spearhead/head.toml", "./etc/spearhead/agent.toml", "./usr/share/doc/spearhead/machines.md",
	} {
		if !strings.Contains(string(list), want+"\n") {
			t.Errorf("the package lacks %s", want)
		}
	}
	if conffiles, err := exec.Command("dpkg-deb", "-I", deb, "conffiles").Output(); err != nil || string(conffiles) != "/etc/spearhead/agent.toml\n/etc/spearhead/head.toml\n" {
		t.Errorf("its configuration files are %q, %v", conffiles, err)
	}
}

func TestUnitsAreUnderstood(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("needs systemd-analyze: apt install systemd")
	}
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"spearhead-head.service", "spearhead-agent.service"} {
		text, err := os.ReadFile(filepath.Join(repository, "packaging/systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		// The program is not installed here.
		unit := filepath.Join(dir, name)
		if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/spearhead", "/bin/true")), 0o600); err != nil {
			t.Fatal(err)
		}
		units = append(units, unit)
	}
	if out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, units...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAHeadThatIsRemovedIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	if code := report(fmt.Errorf("cannot run head: %w", raftstore.ErrRemoved), io.Discard); code != exitForGood {
		t.Errorf("its exit status is %d", code)
	}
	if code := report(errors.New("cannot run head: its port is taken"), io.Discard); code != 1 {
		t.Errorf("the exit status of one that may work at the next start is %d", code)
	}
	unit, err := os.ReadFile(filepath.Join(repository, "packaging/systemd/spearhead-head.service"))
	if want := fmt.Sprintf("\nRestartPreventExitStatus=%d\n", exitForGood); err != nil || !strings.Contains(string(unit), want) {
		t.Errorf("the unit lacks %q, %v", want, err)
	}
}

func TestTheInstallerRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"king":                          "head or a node",
		"node":                          "--join HEAD and --token TOKEN",
		"head":                          "needs --advertise",
		"head --advertise a --join b":   "--join needs --token",
		"node --join a --token b --x y": "there is no option --x",
		"node --join":                   "needs a value",
	} {
		out, err := exec.Command(filepath.Join(repository, "scripts/install"), strings.Fields(args)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s; want %q", args, err, out, want)
		}
	}
}
