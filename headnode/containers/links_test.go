package containers_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func linked(name string, links ...string) model.CreateContainer {
	r := request(name)
	r.Asked.Links = links
	return r
}

func TestLinks(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	target := request("db")
	target.Spec.Env = []string{"PASSWORD=x=y", "HOME=/"}
	target.Spec.Ports = []model.Port{{Number: 53, Protocol: "udp"}, {Number: 53, Protocol: "tcp"}, {Number: 81, Protocol: "tcp"}, {Number: 82, Protocol: "tcp"}}
	db := create(t, c, a, target)
	web := create(t, c, a, linked("web", "db:my-db", "db:my-db", "/db:/web/store"))
	address := db.NICs[0].Address.Addr().String()
	if len(web.Spec.Links) != 2 {
		t.Fatalf("links are %+v", web.Spec.Links)
	}
	link := web.Spec.Links[0]
	want := model.Link{
		ContainerID: db.ID, Name: "db", Alias: "my-db", Address: address, Hosts: []string{db.Spec.Hostname, "db"},
		Env: []string{
			"MY_DB_PORT=tcp://" + address + ":53",
			"MY_DB_PORT_80_TCP_START=tcp://" + address + ":80", "MY_DB_PORT_80_TCP_PORT_START=80",
			"MY_DB_PORT_80_TCP_END=tcp://" + address + ":82", "MY_DB_PORT_80_TCP_PORT_END=82",
		},
	}
	for _, p := range []struct{ port, proto, upper string }{{"53", "tcp", "TCP"}, {"53", "udp", "UDP"}, {"80", "tcp", "TCP"}, {"81", "tcp", "TCP"}, {"82", "tcp", "TCP"}} {
		n := "MY_DB_PORT_" + p.port + "_" + p.upper
		want.Env = append(want.Env, n+"="+p.proto+"://"+address+":"+p.port, n+"_ADDR="+address, n+"_PORT="+p.port, n+"_PROTO="+p.proto)
	}
	want.Env = append(want.Env, "MY_DB_NAME=/web/my-db", "MY_DB_ENV_LANG=C", "MY_DB_ENV_PASSWORD=x=y")
	if diff := cmp.Diff(want, link); diff != "" {
		t.Error(diff)
	}
	if second := web.Spec.Links[1]; second.Alias != "store" || second.ContainerID != db.ID {
		t.Errorf("the second link is %+v", second)
	}

	wantKind(t, c.Containers.Start(ctx, a, "web"), model.KindConflict, "Cannot link to a non running container: /db AS /web/my-db")
	for _, name := range []string{"db", "web"} {
		if err := c.Containers.Start(ctx, a, name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLinksFollowNamesAndRemovals(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("db"))
	create(t, c, a, request("cache"))
	web := create(t, c, a, linked("web", "db:db", "cache:c"))
	for old, name := range map[string]string{"db": "store", "web": "shop"} {
		if err := c.Containers.Rename(ctx, a, old, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"store", "cache", "shop"} {
		if err := c.Containers.Start(ctx, a, name); err != nil {
			t.Fatal(err)
		}
	}
	atNode := c.Agent("node-1").Spec(web.ID).Links
	if len(atNode) != 2 || atNode[0].Name != "store" || !slices.Contains(atNode[0].Hosts, "store") || !slices.Contains(atNode[0].Env, "DB_NAME=/shop/db") {
		t.Errorf("after the renames the node has %+v", atNode)
	}
	if err := c.Containers.RemoveLink(ctx, a, "shop", "c"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, c.Containers.RemoveLink(ctx, a, "shop", "c"), model.KindNotFound, "/shop/c")
	if got, _ := c.Containers.Get(ctx, a, "shop"); len(got.Spec.Links) != 1 || got.Spec.Links[0].Alias != "db" {
		t.Errorf("after a link's removal: %+v", got.Spec.Links)
	}
	if err := c.Containers.Remove(ctx, a, "store", wire.RemoveRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Containers.Get(ctx, a, "shop"); len(got.Spec.Links) != 0 {
		t.Errorf("a removed container is still linked to: %+v", got.Spec.Links)
	}
	if err := c.Containers.Restart(ctx, a, "shop", wire.StopRequest{}); err != nil {
		t.Fatal(err)
	}
	if left := c.Agent("node-1").Spec(web.ID).Links; len(left) != 0 {
		t.Errorf("the restarted container's node still has %+v", left)
	}
	if got, _ := c.Containers.Get(ctx, a, "shop"); got.LinksStale {
		t.Error("the node is to be told again of what it knows")
	}
	for _, e := range c.Store.View().Events(0, 0) {
		if e.Action == "update" {
			t.Errorf("a change of links is told as an event: %+v", e)
		}
	}
}

func TestLinksThatCannotBe(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx := headtest.Context(t)
	jill, jack := c.Account("jill", model.PolicyTrusted), c.Account("jack", model.PolicyTenant)
	pull(t, c, jill)
	pull(t, c, jack)
	create(t, c, jill, request("db"))
	create(t, c, jill, request("cache"))
	create(t, c, jack, request("secret"))
	lonely, atHome, guest := request("lonely"), request("home"), request("guest")
	lonely.Spec.Network, atHome.Spec.Network, guest.Spec.Network = "none", "host", "container:db"
	for _, r := range []model.CreateContainer{lonely, atHome, guest} {
		create(t, c, jill, r)
	}
	for link, text := range map[string]string{
		"":         "empty string specified for links",
		"db:":      "bad format for links",
		"a:b:c":    "bad format for links",
		"db:a b":   "cannot be a host name",
		"nobody":   "could not get container for nobody: No such container: nobody",
		"secret:s": "could not get container for secret: No such container: secret",
		"web:me":   "could not get container for web: No such container: web",
		"lonely:l": "Cannot link to lonely, as it has no network",
		"home:h":   "host type networking can't be used with links",
	} {
		_, _, err := c.Containers.Create(ctx, jill, linked("web", link))
		wantKind(t, err, model.KindInvalid, text)
	}
	_, _, err := c.Containers.Create(ctx, jill, linked("web", "db:x", "cache:x"))
	wantKind(t, err, model.KindInvalid, "the alias x is given to two containers")
	web := create(t, c, jill, linked("web", "guest:g"))
	if db, _ := c.Containers.Get(ctx, jill, "db"); web.Spec.Links[0].Address != db.NICs[0].Address.Addr().String() {
		t.Errorf("the guest's address is %s", web.Spec.Links[0].Address)
	}
}
