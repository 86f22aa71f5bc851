package agent

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/gossip"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
)

func TestAMemberKeepsItsKeysAndCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca, err := pki.CreateCA("dc", now)
	if err != nil {
		t.Fatal(err)
	}
	key, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	old, err := ca.Lasting(time.Hour).Sign(csr, pki.RoleNode, "n1", []string{"node-1"}, now.Add(-50*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	dir, first := filepath.Join(t.TempDir(), "pki"), bytes.Repeat([]byte{1}, 32)
	if err := join.Save(dir, key, join.Answer{Certificate: old, CA: ca.Certificate(), GossipKeys: [][]byte{first}, Label: "dc"}); err != nil {
		t.Fatal(err)
	}
	m, err := openMember(dir)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := gossip.Start(t.Context(), gossip.Config{ID: "n1", Role: gossip.RoleNode, Name: "n", Bind: "127.0.0.1:0", Keys: m.keys.Keys, Label: "dc"})
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	m.enter(ring)
	second := bytes.Repeat([]byte{2}, 32)
	if err := m.SetKeyring(model.Keyring{Version: 4, Keys: [][]byte{second, first}}); err != nil {
		t.Fatal(err)
	}
	if got := ring.Keys(); !bytes.Equal(got[0], second) {
		t.Error("the ring does not use the new key")
	}

	request, err := m.Request()
	if err != nil || request == nil {
		t.Fatalf("a certificate of which five sixths are over: %q, %v; want a request", request, err)
	}
	cert, err := ca.Sign(request, pki.RoleNode, "n1", m.Hosts(), now)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Renew(cert); err != nil {
		t.Fatal(err)
	}
	if request, err := m.Request(); request != nil || err != nil {
		t.Errorf("it asks again: %q, %v", request, err)
	}
	again, err := openMember(dir)
	if err != nil || again.Keyring() != 4 || len(again.keys.Keys) != 2 || !again.Expires().Equal(m.Expires()) {
		t.Errorf("after a restart it has version %d, %d keys and a certificate until %s, %v", again.Keyring(), len(again.keys.Keys), again.Expires(), err)
	}
}
