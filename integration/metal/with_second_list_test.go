package metal

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/internal/testaddr"
)

// The acceptance cases of volumes and packages, by their numbers: the tests that package volumes
// and its parent have for racks, on two machines with OpenZFS.
func TestTheListsOnOpenZFS(t *testing.T) {
	s := tests.pair(t)
	given := s.given(t)
	for name, of := range map[string]struct {
		test  string
		cases string // which must have passed, by their names
	}{
		"integration/volumes": {"TestTheListElsewhere", "V01 V02 V03 V04 V05 V06 V07 V08 V09 V10 V11 V12 V13 V14 V15 V16 V17 V18 V19 V20 V21"},
		"integration":         {"TestPackagesByTheList", "R1 R2 R3 R4 R5 R6"},
	} {
		t.Run(name, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "test")
			build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, "github.com/spearheadcloud/spearhead/"+name)
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("cannot build the tests of %s: %v: %s", name, err, out)
			}
			// Docker's client runs on this machine, as a user's does.
			run := exec.CommandContext(t.Context(), binary, "-test.v", "-test.run", "^"+of.test+"$", "-test.parallel", "3", "-test.timeout", "30m")
			run.Env = append(bed.CleanEnv(), bed.GivenVariable+"="+given)
			run.Dir = filepath.Join(repository, name)
			out, err := run.CombinedOutput()
			if err != nil {
				t.Errorf("the tests of %s: %v:\n%s", name, err, out)
			}
			for number := range strings.FieldsSeq(of.cases) {
				if !regexp.MustCompile(`--- PASS: [^\n]*\b` + number + `_?\b`).Match(regexp.MustCompile(`_`).ReplaceAll(out, []byte(" "))) {
					t.Errorf("%s has not passed", number)
				}
			}
		})
	}
}

// given describes the data center to the tests of other packages, and gives it a registry.
func (s *site) given(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	address := testaddr.Free(t)
	registry, err := bed.StartRegistryAt(t.Context(), address, filepath.Join(dir, "images"), filepath.Join(dir, "registry.yml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Close() })
	if err := bed.PushBusybox(t.Context(), registry.Address+"/"+bed.BusyboxName); err != nil {
		t.Fatal(err)
	}
	image := strings.Replace(address, "127.0.0.1", outside, 1) + "/" + bed.BusyboxName
	s.Docker(t, "pull", image)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.Client(ctx, "rmi", "-f", image).Run()
	})
	text, err := json.Marshal(bed.Given{Binary: tests.program, Image: image, Env: s.settings(t)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "given.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// settings are those of a shell that is set up for the data center, as user and as operator.
func (s *site) settings(t *testing.T) []string {
	t.Helper()
	shown := exec.CommandContext(t.Context(), tests.program, "profile", "env", "work")
	shown.Env = s.Env
	out, err := shown.Output()
	if err != nil {
		t.Fatalf("spearhead profile env: %v", err)
	}
	var settings []string
	for line := range strings.Lines(string(out)) {
		if setting, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			settings = append(settings, setting)
		}
	}
	socket := filepath.Join(s.dir, "head.sock")
	if _, err := os.Stat(socket); err != nil {
		if err := s.machine.Socket(socket, "/run/spearhead/head.sock"); err != nil {
			t.Fatal(err)
		}
	}
	return append(settings, "SPEARHEAD_SOCKET="+socket)
}
