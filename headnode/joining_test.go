package headnode_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// founded is the configuration of a head that was just made.
func founded(t *testing.T) headnode.Config {
	t.Helper()
	cfg := config(t)
	if err := headnode.Init(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// token makes a join token and reads its text.
func token(t *testing.T, admin *adminapi.Client, r adminapi.TokenRequest) model.TokenText {
	t.Helper()
	made, err := admin.CreateToken(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := model.ParseToken(made.Text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// newcomer is a machine that wants to be a node.
func newcomer(t *testing.T, name string, with model.TokenText) (key []byte, r join.Request) {
	t.Helper()
	key, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	return key, join.Request{
		Role: model.RoleNode, Token: with.ID, Secret: with.Secret, CSR: csr, Name: name, Address: ":7947",
		Inventory: &model.Inventory{Vendor: strings.Repeat("v", 1000), CPUs: 8},
	}
}

func TestANodeJoinsAndIsApproved(t *testing.T) {
	t.Parallel()
	cfg := founded(t)
	admin, _ := run(t, cfg)
	node := token(t, admin, adminapi.TokenRequest{Role: model.RoleNode})
	client, err := join.Reach(t.Context(), cfg.DockerListen, node)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	key, request := newcomer(t, "node-7", node)
	for range 2 { // the same machine may ask again
		answer, err := client.Ask(t.Context(), request)
		if err != nil || !answer.Pending || answer.Certificate != nil || answer.GossipKeys != nil {
			t.Fatalf("before its approval a node got %+v, %v", answer, err)
		}
	}
	shown, err := admin.Node(t.Context(), "node-7")
	if err != nil || shown.Approved || shown.Address != "127.0.0.1:7947" || shown.Inventory == nil || shown.Inventory.CPUs != 8 || len(shown.Inventory.Vendor) > 200 {
		t.Fatalf("the pending node is shown as %+v, %v", shown, err)
	}
	yes := true
	if err := admin.ChangeNode(t.Context(), "node-7", model.NodeChange{Approved: &yes}); err != nil {
		t.Fatal(err)
	}
	answer, err := client.Ask(t.Context(), request)
	if err != nil || answer.Pending {
		t.Fatalf("after its approval a node got %+v, %v", answer, err)
	}
	dir := filepath.Join(t.TempDir(), "pki")
	if err := join.Save(dir, key, answer); err != nil {
		t.Fatal(err)
	}
	identity, err := pki.Load(dir)
	if err != nil || identity.Role() != pki.RoleNode || identity.ID() != shown.ID {
		t.Errorf("the identity is %v, %v", identity, err)
	}
	ring, err := join.LoadRing(dir)
	if err != nil || len(ring.Keys) != 1 || len(ring.Join) == 0 || ring.Label == "" || len(answer.CAKey) != 0 {
		t.Errorf("the ring is %+v, %v", ring, err)
	}
}

func TestWhoMayNotJoinIsToldWhy(t *testing.T) {
	t.Parallel()
	cfg := founded(t)
	admin, _ := run(t, cfg)
	node := token(t, admin, adminapi.TokenRequest{Role: model.RoleNode, Approve: true})
	client, err := join.Reach(t.Context(), cfg.DockerListen, node)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	foreign := node
	foreign.Fingerprint = strings.Repeat("0", 64)
	if _, err := join.Reach(t.Context(), cfg.DockerListen, foreign); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a head of another data center: %v", err)
	}
	refused := func(what, text string, change func(*join.Request)) {
		t.Helper()
		_, request := newcomer(t, "node-7", node)
		change(&request)
		_, err := client.Ask(t.Context(), request)
		if err == nil || model.IsKind(err, model.KindUnavailable) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want it refused with %q", what, err, text)
		}
	}
	refused("a wrong secret", "wrong", func(r *join.Request) { r.Secret = strings.Repeat("0", 32) })
	refused("another role", "is for a node", func(r *join.Request) { r.Role, r.Hosts = model.RoleHead, []string{"h"} })
	refused("a bad name", "invalid machine name", func(r *join.Request) { r.Name = "a b" })
	refused("a bad address", "invalid address", func(r *join.Request) { r.Address = "x" })
	refused("no request for a certificate", "damaged", func(r *join.Request) { r.CSR = []byte("x") })
	_, request := newcomer(t, "node-7", node)
	if _, err := client.Ask(t.Context(), request); err != nil {
		t.Fatalf("a token with approval: %v", err)
	}
	refused("a used token", "used", func(r *join.Request) { r.Name = "node-8" })
	if err := admin.RemoveNode(t.Context(), "node-7", false); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Ask(t.Context(), request); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a node that was removed: %v", err)
	}
	for range 20 {
		_, request := newcomer(t, "node-9", node)
		request.Secret = strings.Repeat("1", 32)
		_, err = client.Ask(t.Context(), request)
	}
	if !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("who guesses is answered: %v", err)
	}
}

// second makes another head join the one of cfg and runs it until stop.
func second(t *testing.T, admin *adminapi.Client, first headnode.Config, name string) (client *adminapi.Client, stop func(), ended chan error) {
	t.Helper()
	cfg := config(t)
	cfg.Name = name
	dataCenter, err := headnode.Join(t.Context(), cfg, first.DockerListen, token(t, admin, adminapi.TokenRequest{Role: model.RoleHead}))
	if err != nil || dataCenter != "test" {
		t.Fatalf("join: %q, %v", dataCenter, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() { ended <- headnode.Run(ctx, cfg) }()
	t.Cleanup(stop)
	client = adminapi.NewClient(cfg.Socket)
	t.Cleanup(client.Close)
	return client, stop, ended
}

func voters(t *testing.T, admin *adminapi.Client) (names []string) {
	t.Helper()
	heads, err := admin.Heads(headtest.Context(t))
	if err != nil {
		return nil
	}
	for _, h := range heads {
		if h.Role != "joining" && h.Name != "" {
			names = append(names, h.Name)
		}
	}
	return names
}

func TestHeadsJoinAndLeave(t *testing.T) {
	t.Parallel()
	cfg := founded(t)
	admin, _ := run(t, cfg)
	other, _, ended := second(t, admin, cfg, "head-2")
	until(t, "the new head votes", func() bool { return len(voters(t, admin)) == 2 && len(voters(t, other)) == 2 })
	// Any head's socket takes what operators write.
	if _, err := other.CreateAccount(t.Context(), "jill", model.PolicyTenant); err != nil {
		t.Fatalf("a write through the new head: %v", err)
	}
	if accounts, err := admin.Accounts(t.Context()); err != nil || len(accounts) != 1 {
		t.Errorf("the first head knows %v, %v", accounts, err)
	}
	if err := other.RemoveHead(t.Context(), "head-2"); err != nil {
		t.Fatalf("removal: %v", err)
	}
	select {
	case err := <-ended:
		if !headnode.EndsForGood(err) {
			t.Errorf("the removed head ended as if another start could mend that: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("the removed head runs on")
	}
	until(t, "the first head is alone", func() bool { return len(voters(t, admin)) == 1 })
	if err := admin.RemoveHead(t.Context(), "head-1"); !model.IsKind(err, model.KindConflict) {
		t.Errorf("the only head was removed: %v", err)
	}
}

func TestADataCenterComesBackFromABackup(t *testing.T) {
	t.Parallel()
	cfg := founded(t)
	admin, stop := run(t, cfg)
	if _, err := admin.CreateAccount(t.Context(), "jill", model.PolicyTenant); err != nil {
		t.Fatal(err)
	}
	before, err := admin.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := admin.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateAccount(t.Context(), "jack", model.PolicyTenant); err != nil {
		t.Fatal(err)
	}
	if err := admin.Restore(t.Context(), bytes.NewReader(backup.Bytes()[:len(backup.Bytes())/2])); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("half a backup was restored: %v", err)
	}
	if err := admin.Restore(t.Context(), bytes.NewReader(backup.Bytes())); err != nil {
		t.Fatal(err)
	}
	wantJill := func(admin *adminapi.Client, where string) {
		t.Helper()
		accounts, err := admin.Accounts(t.Context())
		if err != nil || len(accounts) != 1 || accounts[0].Login != "jill" {
			t.Errorf("%s: the accounts are %v, %v", where, accounts, err)
		}
	}
	wantJill(admin, "restored")
	stop()

	fresh := config(t)
	if err := headnode.InitFrom(t.Context(), fresh, bytes.NewReader(backup.Bytes())); err != nil {
		t.Fatal(err)
	}
	anew, _ := run(t, fresh)
	wantJill(anew, "a new head")
	after, err := anew.Status(t.Context())
	if err != nil || after.ClusterID != before.ClusterID || after.ID == before.ID {
		t.Errorf("the new head is %+v, %v; want one of data center %s", after, err, before.ClusterID)
	}
	ca, err := os.ReadFile(filepath.Join(fresh.StateDir, "ca", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(filepath.Join(cfg.StateDir, "ca", "ca.pem"))
	if err != nil || !bytes.Equal(ca, was) {
		t.Errorf("its CA is another: %v", err)
	}
}

func TestTheLastHeadRecovers(t *testing.T) {
	t.Parallel()
	cfg := founded(t)
	admin, stop := run(t, cfg)
	_, lose, ended := second(t, admin, cfg, "head-2")
	until(t, "the new head votes", func() bool { return len(voters(t, admin)) == 2 })
	if _, err := admin.CreateAccount(t.Context(), "jill", model.PolicyTenant); err != nil {
		t.Fatal(err)
	}
	lose()
	<-ended
	stop()
	if err := headnode.Recover(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	admin, _ = run(t, cfg) // leads alone, although the other is not there for it
	if accounts, err := admin.Accounts(t.Context()); err != nil || len(accounts) != 1 {
		t.Errorf("it knows %v, %v", accounts, err)
	}
	until(t, "it is the only one", func() bool { return len(voters(t, admin)) == 1 })
}
