package adminapi_test

import (
	"crypto/ed25519"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

// operator serves the calls on a socket, as a head does.
func operator(t *testing.T) *adminapi.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: adminapi.NewHandler(adminapi.Config{Store: headtest.New(t, 0).Store, Logger: slog.New(slog.DiscardHandler)})}
	go server.Serve(l)
	client := adminapi.NewClient(socket)
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client
}

func publicKey(t *testing.T, comment string) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " " + comment
}

func TestKeysOfOneMachineHaveOneComment(t *testing.T) {
	t.Parallel()
	c := operator(t)
	if _, err := c.CreateAccount(t.Context(), "jill", model.PolicyTenant); err != nil {
		t.Fatal(err)
	}
	first, err := c.AddKey(t.Context(), "jill", "", publicKey(t, "jill@laptop"))
	if err != nil || first.Name != "jill@laptop" {
		t.Fatalf("first key: %q, %v", first.Name, err)
	}
	second, err := c.AddKey(t.Context(), "jill", "", publicKey(t, "jill@laptop"))
	if err != nil || second.Name != second.SHA256 {
		t.Errorf("second key: %q, %v; want its fingerprint as name", second.Name, err)
	}
	if _, err := c.AddKey(t.Context(), "jill", "jill@laptop", publicKey(t, "x")); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a name that was chosen is taken: %v, want a conflict", err)
	}
	if err := c.RemoveKey(t.Context(), "jill", second.Name); err != nil {
		t.Errorf("removing by that name: %v", err)
	}
	if keys, err := c.Keys(t.Context(), "jill"); err != nil || len(keys) != 1 {
		t.Errorf("keys left: %v, %v", keys, err)
	}
}

func TestAccountsComeAndGo(t *testing.T) {
	t.Parallel()
	c := operator(t)
	for _, bad := range []string{"", "1up", "a b", strings.Repeat("a", 80)} {
		if _, err := c.CreateAccount(t.Context(), bad, model.PolicyTenant); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("login %q: %v, want it refused", bad, err)
		}
	}
	for _, want := range []model.Kind{"", model.KindConflict} {
		if _, err := c.CreateAccount(t.Context(), "jill", model.PolicyTrusted); err != nil != (want != "") || want != "" && model.KindOf(err) != want {
			t.Errorf("create: %v, want kind %q", err, want)
		}
	}
	for _, want := range []model.Kind{"", model.KindNotFound} {
		if err := c.RemoveAccount(t.Context(), "jill"); err != nil != (want != "") || want != "" && model.KindOf(err) != want {
			t.Errorf("remove: %v, want kind %q", err, want)
		}
	}
}
