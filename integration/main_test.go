package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// world is what TestMain set up: nil parts say why in missing.
type world struct {
	binary  string // the program under test
	images  string // the registries' data, shared by all racks
	missing string // why there is no data center to test
	shared  *bed   // the rack that most tests use
}

// setting is filled by TestMain before any test runs, and only read after.
var setting world

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) (code int) {
	if setting.missing = missingNeeds(); setting.missing != "" {
		return m.Run()
	}
	before, err := observeMachine()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot look at this machine:", err)
		return 1
	}
	work, err := os.MkdirTemp("", "spearhead-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	if err := setUp(work); err != nil {
		fmt.Fprintln(os.Stderr, "cannot set the data center up:", err)
		code = 1
	} else {
		code = m.Run()
	}
	if err := tearDown(before); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// missingNeeds says what this machine lacks, in the words of a skip.
func missingNeeds() string {
	if os.Geteuid() != 0 {
		return "needs root: a data center on this machine"
	}
	for _, tool := range []string{"docker", "docker-registry", "tar", "gzip"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "needs " + tool + ": install it with scripts/setup test"
		}
	}
	return ""
}

func setUp(work string) error {
	setting.binary = filepath.Join(work, "spearhead")
	setting.images = filepath.Join(work, "images")
	build := exec.Command("go", "build", "-trimpath", "-o", setting.binary, "../cmd/spearhead")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the program: %w: %s", err, out)
	}
	var err error
	setting.shared, err = newBed(context.Background(), filepath.Join(work, "rack"))
	return err
}

// tearDown ends the shared rack and compares the machine with what it was before.
func tearDown(before []string) error {
	if setting.shared == nil {
		return nil
	}
	if err := setting.shared.close(); err != nil {
		return err
	}
	after, err := observeMachine()
	if err != nil {
		return err
	}
	if left := leftOver(before, after, setting.shared); len(left) > 0 {
		return errors.New("the rack left behind on this machine:\n  " + strings.Join(left, "\n  "))
	}
	return nil
}

// sharedBed is the rack that tests share, or a skip that says what this machine lacks.
func sharedBed(t *testing.T) *bed {
	t.Helper()
	if setting.missing != "" {
		t.Skip(setting.missing)
	}
	return setting.shared
}
