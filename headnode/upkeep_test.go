package headnode

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/pki"
)

func TestAHeadRenewsItsOwnCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	dir := t.TempDir()
	ca, err := pki.CreateCA("dc", now)
	if err != nil {
		t.Fatal(err)
	}
	key, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Lasting(time.Hour).Sign(csr, pki.RoleHead, "h1", []string{"old.example"}, now.Add(-50*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.Save(filepath.Join(dir, dirIdentity), key, cert, ca.Certificate()); err != nil {
		t.Fatal(err)
	}
	identity, err := pki.Load(filepath.Join(dir, dirIdentity))
	if err != nil {
		t.Fatal(err)
	}
	h := &head{
		cfg: Config{StateDir: dir, Advertise: []string{"new.example", "10.0.0.1"}}, home: &home{ca: ca, identity: identity}, log: slog.New(slog.DiscardHandler),
	}
	if err := h.renew(now); err != nil {
		t.Fatal(err)
	}
	until := identity.Expires()
	if !until.After(now.Add(24 * time.Hour)) {
		t.Errorf("it lasts until %s", until)
	}
	if hosts := identity.Hosts(); len(hosts) != 2 || hosts[0] != "new.example" {
		t.Errorf("it is for %v", hosts)
	}
	if err := h.renew(now); err != nil || !identity.Expires().Equal(until) {
		t.Errorf("it was renewed again: %v", err)
	}
	if again, err := pki.Load(filepath.Join(dir, dirIdentity)); err != nil || !again.Expires().Equal(until) {
		t.Errorf("after a restart it is another: %v", err)
	}
}
