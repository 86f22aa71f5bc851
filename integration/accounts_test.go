package integration

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// tenant makes an account with a key, sets a user's docker client up for it as a user would,
// and returns the bed as that account sees it.
func (b *bed) tenant(t *testing.T, login string) *bed {
	t.Helper()
	home := t.TempDir()
	key := filepath.Join(home, "id_ed25519")
	writeSSHKey(t, key)
	b.operator(t, "account", "create", login)
	t.Cleanup(func() { b.operator(t, "account", "rm", login) })
	b.operator(t, "key", "add", login, key+".pub", "--name", "laptop")

	user := append(cleanEnv(), "HOME="+home, "DOCKER_CONFIG="+filepath.Join(home, ".docker"))
	url := "https://" + strings.TrimPrefix(b.setting("DOCKER_HOST"), "tcp://")
	for _, args := range [][]string{
		{"profile", "create", "work", "--url", url, "--account", login, "--key", key},
		{"profile", "docker-setup", "work", "--ca", filepath.Join(b.setting("DOCKER_CERT_PATH"), "ca.pem")},
	} {
		if _, err := spearhead(t.Context(), user, args...); err != nil {
			t.Fatal(err)
		}
	}
	other := *b
	other.env = append(user, "DOCKER_CONTEXT=work")
	return &other
}

// setting is one of those that spearhead dev env gives.
func (b *bed) setting(name string) string {
	for _, setting := range slices.Backward(b.env) {
		if value, ok := strings.CutPrefix(setting, name+"="); ok {
			return value
		}
	}
	return ""
}

// operator calls an operator's command on the rack's head.
func (b *bed) operator(t *testing.T, args ...string) string {
	t.Helper()
	// Not the test's context: accounts are removed when it has ended.
	out, err := spearhead(context.Background(), []string{"SPEARHEAD_SOCKET=" + b.setting("SPEARHEAD_SOCKET")}, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func writeSSHKey(t *testing.T, path string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	authorized, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{path: pem.EncodeToMemory(block), path + ".pub": ssh.MarshalAuthorizedKey(authorized)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAccountsDoNotSeeEachOther(t *testing.T) {
	b := sharedBed(t)
	jill := b.tenant(t, "jill")
	mine := b.run(t, "--name", "same-name", b.image, "sleep", "1000")
	hers := jill.run(t, "--name", "same-name", b.image, "sleep", "1000")
	for _, look := range []struct {
		who          *bed
		own, foreign string
	}{{b, mine, hers}, {jill, hers, mine}} {
		if out := look.who.docker(t, "ps", "-aq", "--no-trunc"); !strings.Contains(out, look.own) || strings.Contains(out, look.foreign) {
			t.Errorf("an account lists %q; its own is %s, the other's is %s", out, look.own, look.foreign)
		}
		for _, args := range [][]string{
			{"inspect", look.foreign}, {"logs", look.foreign}, {"rm", look.foreign}, {"kill", look.foreign},
			{"exec", look.foreign, "true"}, {"start", look.foreign[:12]}, {"top", look.foreign},
		} {
			if done := look.who.try(t, args...); done.code == 0 || !strings.Contains(strings.ToLower(done.stderr), "no such") {
				t.Errorf("docker %s on another account's container: code %d, %s", args[0], done.code, done.stderr)
			}
		}
	}
	if state := b.inspect(t, mine, "{{.State.Running}}"); state != "true" {
		t.Error("an account stopped a container of another")
	}
	if out := jill.docker(t, "info", "--format", "{{json .DriverStatus}}"); !strings.Contains(out, "SDCAccount") || !strings.Contains(out, "jill") {
		t.Errorf("docker info does not tell whose account it is: %s", out)
	}
	for _, bed := range []*bed{b, jill} {
		bed.docker(t, "rm", "-f", "same-name")
	}
}

func TestTenantIsToldEachForbiddenField(t *testing.T) {
	b := sharedBed(t)
	jack := b.tenant(t, "jack")
	done := jack.try(t, "run", "--privileged", "--pid", "host", "--network", "host", "-v", "/etc:/x", b.image, "true")
	if done.code == 0 {
		t.Fatal("a tenant ran a privileged container")
	}
	for _, field := range []string{"Privileged", "PidMode", "Binds"} {
		if !strings.Contains(done.stderr, field) {
			t.Errorf("the refusal does not name %s: %s", field, done.stderr)
		}
	}
	if left := jack.docker(t, "ps", "-aq"); left != "" {
		t.Errorf("the refused request left %s", left)
	}
}

func TestTrustedAccountUsesHostPaths(t *testing.T) {
	b := sharedBed(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "in"), []byte("from outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := b.docker(t, "run", "--rm", "-v", folder+":/x", b.image, "sh", "-c", "cat /x/in; echo from inside > /x/out")
	text, err := os.ReadFile(filepath.Join(folder, "out"))
	if out != "from outside" || err != nil || string(text) != "from inside\n" {
		t.Errorf("the container read %q and wrote %q, error %v", out, text, err)
	}
	done := b.try(t, "run", "--rm", "-v", folder+":/x:ro", b.image, "touch", "/x/no")
	if done.code == 0 {
		t.Error("a container wrote to a read-only path")
	}
}

func TestRemovedKeyShutsTheDoor(t *testing.T) {
	b := sharedBed(t)
	jane := b.tenant(t, "jane")
	jane.docker(t, "ps")
	b.operator(t, "key", "rm", "jane", "laptop")
	start := time.Now()
	eventually(t, func() error {
		if jane.try(t, "ps").code == 0 {
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
	ca, err := os.ReadFile(filepath.Join(b.setting("DOCKER_CERT_PATH"), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	stranger.env = append(slices.Clone(b.env), "DOCKER_CERT_PATH="+folder)
	if done := stranger.try(t, "ps"); done.code == 0 {
		t.Errorf("docker ps without a certificate: %s", done.stdout)
	}
}
