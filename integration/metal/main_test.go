package metal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/metal/guest"
)

// repository is the root of the source.
const repository = "../.."

// setting is what the package's tests stand on.
type setting struct {
	missing string // why there is no machine to test
	work    string // a folder that goes at the end
	image   string // the folder that scripts/metal has made
	program string // built of this source
	deb     string // the package with it

	once   sync.Once
	shared *site // the data center that most tests use
	err    error

	pairOnce sync.Once
	pairErr  error
}

// tests is filled by TestMain and only read after, but for what the two onces guard.
var tests setting

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	if tests.missing = missingNeeds(); tests.missing != "" {
		return m.Run()
	}
	var err error
	if tests.work, err = os.MkdirTemp("", "spearhead-metal-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(tests.work)
	code = m.Run()
	if tests.shared != nil {
		if err := tests.shared.close(); err != nil {
			fmt.Fprintln(os.Stderr, "cannot switch the machines off:", err)
			return 1
		}
	}
	return code
}

// missingNeeds says what this machine lacks, in the words of a skip.
func missingNeeds() string {
	if os.Getenv("SPEARHEAD_METAL") != "1" {
		return "needs minutes for a machine under QEMU: make metal runs it"
	}
	for _, tool := range []string{"qemu-system-x86_64", "qemu-img", "docker", "dpkg-deb", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "needs " + tool + ": install it with scripts/setup metal"
		}
	}
	out, err := exec.Command(filepath.Join(repository, "scripts/metal"), "where").Output()
	if err != nil {
		return "needs scripts/metal: " + err.Error()
	}
	tests.image = strings.TrimSpace(string(out))
	if _, err := os.Stat(filepath.Join(tests.image, "disk.qcow2")); err != nil {
		return "needs the machines' disk: scripts/metal makes it, as root"
	}
	return ""
}

// build makes the program and its package of this source, in a tree of their own.
func (s *setting) build() error {
	tree := filepath.Join(s.work, "tree")
	for _, folder := range []string{"packaging", "scripts", "docs/operators"} {
		if err := os.CopyFS(filepath.Join(tree, folder), os.DirFS(filepath.Join(repository, folder))); err != nil {
			return err
		}
	}
	license, err := os.ReadFile(filepath.Join(repository, "LICENSE"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tree, "LICENSE"), license, 0o644); err != nil {
		return err
	}
	s.program = filepath.Join(tree, "bin", "spearhead")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=v0.1-metal", "-o", s.program, "github.com/spearheadcloud/spearhead/cmd/spearhead")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the program: %w: %s", err, out)
	}
	pack := exec.Command(filepath.Join(tree, "scripts/deb"))
	pack.Env = append(os.Environ(), "DPKG_DEB_COMPRESSOR_TYPE=none") // which the slow machine unpacks quickly
	out, err := pack.CombinedOutput()
	if err != nil {
		return fmt.Errorf("scripts/deb: %w: %s", err, out)
	}
	s.deb = filepath.Join(tree, strings.TrimSpace(string(out)))
	return nil
}

// site is the data center that tests share, or a skip that says what this machine lacks.
func (s *setting) site(t *testing.T) *site {
	t.Helper()
	if s.missing != "" {
		t.Skip(s.missing)
	}
	s.once.Do(func() {
		if s.err = s.build(); s.err != nil {
			return
		}
		s.shared, s.err = s.start(context.Background())
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.shared.as(t)
}

// start boots a machine that is a head and a node.
func (s *setting) start(ctx context.Context) (*site, error) {
	dir := filepath.Join(s.work, "shared")
	m, err := s.boot(ctx, dir, guest.Config{Name: "node-1", Number: 1, Wire: s.wire(1), Peer: s.wire(2), Memory: 1536})
	if err != nil {
		return nil, err
	}
	made := &site{machine: m, dir: dir}
	if err := made.install(ctx, s); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return made, nil
}

// boot boots a machine with two further disks.
func (s *setting) boot(ctx context.Context, dir string, config guest.Config) (*guest.Machine, error) {
	config.Image, config.Dir, config.Disks = s.image, filepath.Join(dir, "machine"), []int64{2 << 30, 2 << 30}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, err
	}
	return guest.Boot(ctx, config)
}

// wire is the socket of a machine on the one wire that they share.
func (s *setting) wire(number int) string {
	return filepath.Join(s.work, fmt.Sprintf("wire-%d", number))
}
