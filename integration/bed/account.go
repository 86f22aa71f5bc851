package bed

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

	"golang.org/x/crypto/ssh"
)

// Tenant makes an account with a key, sets a user's docker client up for it as a user would,
// and returns the bed as that account sees it.
func (b *Bed) Tenant(t *testing.T, login string) *Bed {
	t.Helper()
	home := t.TempDir()
	key := filepath.Join(home, "id_ed25519")
	writeSSHKey(t, key)
	b.Operator(t, "account", "create", login)
	t.Cleanup(func() { b.Operator(t, "account", "rm", login) })
	b.Operator(t, "key", "add", login, key+".pub", "--name", "laptop")

	user := append(CleanEnv(), "HOME="+home, "DOCKER_CONFIG="+filepath.Join(home, ".docker"))
	url := "https://" + strings.TrimPrefix(b.Setting("DOCKER_HOST"), "tcp://")
	for _, args := range [][]string{
		{"profile", "create", "work", "--url", url, "--account", login, "--key", key},
		{"profile", "docker-setup", "work", "--ca", filepath.Join(b.Setting("DOCKER_CERT_PATH"), "ca.pem")},
	} {
		if _, err := b.Spearhead(t.Context(), user, args...); err != nil {
			t.Fatal(err)
		}
	}
	other := *b
	other.Env = append(user, "DOCKER_CONTEXT=work")
	return &other
}

// Own calls a command of spearhead's as the account, which Tenant has made.
func (b *Bed) Own(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return b.Spearhead(t.Context(), append(slices.Clone(b.Env), "SPEARHEAD_PROFILE=work"), args...)
}

// Operator calls an operator's command on the rack's head.
func (b *Bed) Operator(t *testing.T, args ...string) string {
	t.Helper()
	// Not the test's context: accounts are removed when it has ended.
	out, err := b.Spearhead(context.Background(), []string{"SPEARHEAD_SOCKET=" + b.Setting("SPEARHEAD_SOCKET")}, args...)
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
