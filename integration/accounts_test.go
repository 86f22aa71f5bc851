package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

func TestP14AccountsDoNotSeeEachOther(t *testing.T) {
	b := sharedBed(t)
	jill := b.Tenant(t, "jill")
	mine := b.Run(t, "--name", "same-name", b.Image, "sleep", "1000")
	hers := jill.Run(t, "--name", "same-name", b.Image, "sleep", "1000")
	for _, look := range []struct {
		who          *bed.Bed
		own, foreign string
	}{{b, mine, hers}, {jill, hers, mine}} {
		if out := look.who.Docker(t, "ps", "-aq", "--no-trunc"); !strings.Contains(out, look.own) || strings.Contains(out, look.foreign) {
			t.Errorf("an account lists %q; its own is %s, the other's is %s", out, look.own, look.foreign)
		}
		for _, args := range [][]string{
			{"inspect", look.foreign}, {"logs", look.foreign}, {"rm", look.foreign}, {"kill", look.foreign},
			{"exec", look.foreign, "true"}, {"start", look.foreign[:12]}, {"top", look.foreign},
		} {
			if done := look.who.Try(t, args...); done.Code == 0 || !strings.Contains(strings.ToLower(done.Stderr), "no such") {
				t.Errorf("docker %s on another account's container: code %d, %s", args[0], done.Code, done.Stderr)
			}
		}
	}
	if state := b.Inspect(t, mine, "{{.State.Running}}"); state != "true" {
		t.Error("an account stopped a container of another")
	}
	if out := jill.Docker(t, "info", "--format", "{{json .DriverStatus}}"); !strings.Contains(out, "SDCAccount") || !strings.Contains(out, "jill") {
		t.Errorf("docker info does not tell whose account it is: %s", out)
	}
	for _, side := range []*bed.Bed{b, jill} {
		side.Docker(t, "rm", "-f", "same-name")
	}
}

func TestP15TenantIsToldEachForbiddenField(t *testing.T) {
	b := sharedBed(t)
	jack := b.Tenant(t, "jack")
	done := jack.Try(t, "run", "--privileged", "--pid", "host", "--network", "host", "-v", "/etc:/x", b.Image, "true")
	if done.Code == 0 {
		t.Fatal("a tenant ran a privileged container")
	}
	for _, field := range []string{"Privileged", "PidMode", "Binds"} {
		if !strings.Contains(done.Stderr, field) {
			t.Errorf("the refusal does not name %s: %s", field, done.Stderr)
		}
	}
	if left := jack.Docker(t, "ps", "-aq"); left != "" {
		t.Errorf("the refused request left %s", left)
	}
}

func TestTrustedAccountUsesHostPaths(t *testing.T) {
	b := sharedBed(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "in"), []byte("from outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := b.Docker(t, "run", "--rm", "-v", folder+":/x", b.Image, "sh", "-c", "cat /x/in; echo from inside > /x/out")
	text, err := os.ReadFile(filepath.Join(folder, "out"))
	if out != "from outside" || err != nil || string(text) != "from inside\n" {
		t.Errorf("the container read %q and wrote %q, error %v", out, text, err)
	}
	done := b.Try(t, "run", "--rm", "-v", folder+":/x:ro", b.Image, "touch", "/x/no")
	if done.Code == 0 {
		t.Error("a container wrote to a read-only path")
	}
}

func TestRemovedKeyShutsTheDoor(t *testing.T) {
	b := sharedBed(t)
	jane := b.Tenant(t, "jane")
	jane.Docker(t, "ps")
	b.Operator(t, "key", "rm", "jane", "laptop")
	start := time.Now()
	bed.Eventually(t, func() error {
		if jane.Try(t, "ps").Code == 0 {
			return os.ErrExist
		}
		return nil
	})
	t.Logf("the door was shut after %s", time.Since(start).Round(time.Millisecond))
}

func TestWithoutACertificateThereIsNoWayIn(t *testing.T) {
	b := sharedBed(t)
	stranger := *b
	folder := t.TempDir()
	ca, err := os.ReadFile(filepath.Join(b.Setting("DOCKER_CERT_PATH"), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	stranger.Env = append(slices.Clone(b.Env), "DOCKER_CERT_PATH="+folder)
	if done := stranger.Try(t, "ps"); done.Code == 0 {
		t.Errorf("docker ps without a certificate: %s", done.Stdout)
	}
}
