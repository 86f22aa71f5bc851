package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting = bed.Setting{Options: []string{"--nodes", "2"}}

// known is the private authority that the rack's machines trust.
var known *authority

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot set the authority of registries up:", err)
		code = 1
	}
	os.Exit(code)
}

// run has the rack's daemons, which inherit this process's environment, trust a private
// authority as a machine trusts what its administrator installs.
func run(m *testing.M) (code int, err error) {
	if known, err = newAuthority("the company's authority"); err != nil {
		return 1, err
	}
	folder, err := os.MkdirTemp("", "spearhead-authority-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "ca.crt")
	if err := os.WriteFile(file, known.pem(), 0o600); err != nil {
		return 1, err
	}
	if err := os.Setenv("SSL_CERT_FILE", file); err != nil {
		return 1, err
	}
	return setting.Main(m), nil
}

var noName = regexp.MustCompile(`[^a-z0-9]+`)

// unique is a name for what this test alone makes.
func unique(t *testing.T) string {
	return strings.Trim(noName.ReplaceAllString(strings.ToLower(strings.TrimPrefix(t.Name(), "Test")), "-"), "-")
}

// ownClient is the shared bed with a docker client that has settings of its own, such as
// logins.
func ownClient(t *testing.T) *bed.Bed {
	t.Helper()
	return setting.Shared(t).With("", "DOCKER_CONFIG="+t.TempDir())
}

// forget removes an image's name at the end of a test, if it is still there.
func forget(t *testing.T, b *bed.Bed, names ...string) {
	t.Helper()
	t.Cleanup(func() {
		for _, name := range names {
			_ = b.Client(afterTest(t), "rmi", "-f", name).Run()
		}
	})
}

// refused calls docker, which must fail, and returns what it said.
func refused(t *testing.T, b *bed.Bed, args ...string) string {
	t.Helper()
	done := b.Try(t, args...)
	if done.Code == 0 {
		t.Fatalf("docker %s succeeded: %s", strings.Join(args, " "), done.Stdout)
	}
	return strings.TrimSpace(done.Stderr)
}

// refusedWith is refused with something known in what docker said.
func refusedWith(t *testing.T, b *bed.Bed, want string, args ...string) {
	t.Helper()
	if said := refused(t, b, args...); !strings.Contains(said, want) {
		t.Errorf("docker %s says %q, which lacks %q", strings.Join(args, " "), said, want)
	}
}

// afterTest bounds what cleans up when a test's own context has ended.
func afterTest(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
