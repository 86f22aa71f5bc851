package images

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting = bed.Setting{Options: []string{"--nodes", "2"}}

// known is the private authority that most registries have their certificates from.
// TestMain makes it.
var known *authority

func TestMain(m *testing.M) {
	var err error
	if known, err = newAuthority("the company's authority"); err != nil {
		fmt.Fprintln(os.Stderr, "cannot make an authority of registries:", err)
		os.Exit(1)
	}
	os.Exit(setting.Main(m))
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
