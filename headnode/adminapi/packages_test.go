package adminapi_test

import (
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

// center serves the calls of a data center on a socket.
func center(t *testing.T, nodes int) (*headtest.Center, *adminapi.Client) {
	t.Helper()
	c := headtest.New(t, nodes)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: adminapi.NewHandler(adminapi.Config{
		Store: c.Store, Explain: c.Containers.Explain, Logger: slog.New(slog.DiscardHandler),
	})}
	go server.Serve(l)
	client := adminapi.NewClient(socket)
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return c, client
}

func wantKind(t *testing.T, err error, kind model.Kind, part string) {
	t.Helper()
	if !model.IsKind(err, kind) || !strings.Contains(model.UserText(err), part) {
		t.Errorf("got %v, want kind %s with %q", err, kind, part)
	}
}

func TestPackagesComeAndGo(t *testing.T) {
	t.Parallel()
	_, c := center(t, 0)
	ctx := t.Context()
	if _, err := c.CreateAccount(ctx, "jill", model.PolicyTenant); err != nil {
		t.Fatal(err)
	}
	put := func(p model.Package, owners ...string) (adminapi.PackageStatus, error) {
		return c.PutPackage(ctx, adminapi.PackageRequest{Package: p, Owners: owners})
	}
	made, err := put(model.Package{Name: "g1", Memory: 1 << 30, Active: true, Traits: []string{"ssd"}}, "jill")
	if err != nil || len(made.ID) != 36 || len(made.OwnerLogins) != 1 || made.OwnerLogins[0] != "jill" || len(made.Owners) != 1 {
		t.Fatalf("made %+v, %v", made, err)
	}
	again, err := put(model.Package{Name: "g1", Memory: 2 << 30, Active: true})
	if err != nil || again.ID != made.ID || len(again.Owners) != 0 || again.Memory != 2<<30 {
		t.Errorf("changed to %+v, %v", again, err)
	}
	for _, bad := range []struct {
		p    model.Package
		kind model.Kind
		part string
	}{
		{model.Package{Name: "-x", Memory: 1 << 30}, model.KindInvalid, "invalid package name"},
		{model.Package{Name: "tiny", Memory: 1}, model.KindInvalid, "at least"},
		{model.Package{Name: "odd", Memory: 1 << 30, Disk: -1}, model.KindInvalid, "disk is out of range"},
		{model.Package{Name: "odd", Memory: 1 << 30, Disk: 1 << 10}, model.KindInvalid, "1024 bytes of disk; at least 1048576"},
		{model.Package{Name: "odd", Memory: 1 << 30, CPUShares: 262145}, model.KindInvalid, "the kernel takes at most 262144"},
		{model.Package{Name: "odd", Memory: 1 << 30, NetworkRate: 1}, model.KindInvalid, "a network rate of 1 bits a second"},
		{model.Package{Name: "odd", Memory: 1 << 30, NetworkRate: 1 << 50}, model.KindInvalid, "a network rate of"},
		{model.Package{Name: "odd", Memory: 1 << 30, Family: "a\nb"}, model.KindInvalid, `the family "a\nb"`},
		{model.Package{Name: "odd", Memory: 1 << 30, Version: strings.Repeat("v", 65)}, model.KindInvalid, "the version"},
		{model.Package{Name: "odd", Memory: 1 << 30, Traits: []string{"a b"}}, model.KindInvalid, "invalid trait"},
	} {
		_, err := put(bad.p)
		wantKind(t, err, bad.kind, bad.part)
	}
	_, err = put(model.Package{Name: "g2", Memory: 1 << 30}, "nobody")
	wantKind(t, err, model.KindNotFound, "nobody")
	if off, err := c.ActivatePackage(ctx, "g1", false); err != nil || off.Active {
		t.Errorf("deactivated: %+v, %v", off, err)
	}
	_, err = c.ActivatePackage(ctx, "g9", true)
	wantKind(t, err, model.KindNotFound, "g9")
	if err := c.RemovePackage(ctx, "g1"); err != nil {
		t.Error(err)
	}
	wantKind(t, c.RemovePackage(ctx, "g1"), model.KindNotFound, "g1")
}

func TestLimitsAreShownAndChanged(t *testing.T) {
	t.Parallel()
	_, c := center(t, 0)
	ctx := t.Context()
	if _, err := c.CreateAccount(ctx, "jill", model.PolicyTenant); err != nil {
		t.Fatal(err)
	}
	three, none := int64(3), model.NoneAllowed
	if _, err := c.ChangeLimits(ctx, "jill", adminapi.LimitChange{Containers: &three, Networks: &none}); err != nil {
		t.Fatal(err)
	}
	use, err := c.ChangeLimits(ctx, "jill", adminapi.LimitChange{Volumes: &three})
	if err != nil || use.Limits != (model.AccountLimits{Containers: 3, Networks: -1, Volumes: 3}) || use.Used != (model.AccountLimits{}) {
		t.Errorf("limits %+v, %v", use, err)
	}
	bad := int64(-2)
	_, err = c.ChangeLimits(ctx, "jill", adminapi.LimitChange{Memory: &bad})
	wantKind(t, err, model.KindInvalid, "out of range")
	_, err = c.Limits(ctx, "nobody")
	wantKind(t, err, model.KindNotFound, "nobody")
}

func TestExplanation(t *testing.T) {
	t.Parallel()
	_, c := center(t, 2)
	ctx := t.Context()
	if _, err := c.CreateAccount(ctx, "jill", model.PolicyTenant); err != nil {
		t.Fatal(err)
	}
	e, err := c.Explain(ctx, adminapi.ExplainRequest{Account: "jill", Memory: 512 << 20, Affinities: []string{"node!=node-1"}, Best: 5})
	if err != nil || e.Node != "node-2" || e.Considered != 2 || len(e.Best) != 1 || len(e.Refused) != 1 || e.Refused[0].Rule != "node!=node-1" {
		t.Errorf("explained as %+v, %v", e, err)
	}
	e, err = c.Explain(ctx, adminapi.ExplainRequest{Account: "jill", Affinities: []string{"rack==r1"}})
	if err != nil || e.Node != "" || !strings.Contains(e.Refusal, "2 are excluded by affinity rack==r1") || e.Considered != 2 {
		t.Errorf("a refusal is explained as %+v, %v", e, err)
	}
	for _, bad := range []adminapi.ExplainRequest{
		{Account: "jill", Affinities: []string{"x"}}, {Account: "jill", Memory: 1 << 50}, {Account: "jill", Package: "nothing"},
	} {
		_, err := c.Explain(ctx, bad)
		wantKind(t, err, model.KindInvalid, "")
	}
	_, err = c.Explain(ctx, adminapi.ExplainRequest{Account: "nobody"})
	wantKind(t, err, model.KindNotFound, "nobody")
}
