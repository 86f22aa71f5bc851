package bed

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

// Setting is what a package of tests stands on. Main fills it before any test runs, and it
// is only read after. The zero value is ready for Main.
type Setting struct {
	Options []string // of spearhead dev up for the shared rack, such as --nodes 2; the only field that a package sets
	Binary  string   // the program under test
	images  string   // the registries' data, shared by all racks
	missing string   // why there is no data center to test
	shared  *Bed     // the rack that most tests use
	given   bool     // shared stands by itself: it is no rack
}

// Main runs a package's tests in a data center of their own and returns the exit code.
func (s *Setting) Main(m *testing.M) (code int) {
	if path := os.Getenv(GivenVariable); path != "" {
		return s.mainGiven(m, path)
	}
	if s.missing = missingNeeds(); s.missing != "" {
		return m.Run()
	}
	before, err := ObserveMachine()
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
	if err := s.setUp(work); err != nil {
		fmt.Fprintln(os.Stderr, "cannot set the data center up:", err)
		code = 1
	} else {
		code = m.Run()
	}
	if err := s.tearDown(before); err != nil {
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

func (s *Setting) setUp(work string) error {
	s.Binary = filepath.Join(work, "spearhead")
	s.images = filepath.Join(work, "images")
	err := Build(context.Background(), s.Binary)
	if err != nil {
		return err
	}
	s.shared, err = s.New(context.Background(), filepath.Join(work, "rack"), s.Options...)
	return err
}

// Build makes the program under test from this tree, as it is released.
func Build(ctx context.Context, to string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, "github.com/spearheadcloud/spearhead/cmd/spearhead")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the program: %w: %s", err, out)
	}
	return nil
}

// tearDown ends the shared rack and compares the machine with what it was before.
func (s *Setting) tearDown(before []string) error {
	if s.shared == nil {
		return nil
	}
	if err := s.shared.Close(); err != nil {
		return err
	}
	after, err := ObserveMachine()
	if err != nil {
		return err
	}
	if left := LeftOver(before, after, s.shared); len(left) > 0 {
		return errors.New("the rack left behind on this machine:\n  " + strings.Join(left, "\n  "))
	}
	return nil
}

// Shared is the rack that a package's tests share, or a skip that says what this machine
// lacks.
func (s *Setting) Shared(t *testing.T) *Bed {
	t.Helper()
	if s.missing != "" {
		t.Skip(s.missing)
	}
	return s.shared
}

// New brings up a rack in dir with the given options of spearhead dev up, and a registry
// with a busybox image beside it. The caller closes it.
func (s *Setting) New(ctx context.Context, dir string, options ...string) (*Bed, error) {
	b := &Bed{Dir: dir, binary: s.Binary, options: options}
	if err := b.Up(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	var err error
	if b.registry, err = StartRegistry(ctx, b.Setting("DOCKER_HOST"), s.images, dir+"-registry.yml"); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.Address = b.registry.Address
	b.Image = b.Address + "/" + BusyboxName
	if err := PushBusybox(ctx, b.Image); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}
