package containers_test

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// publishing is a data center that publishes ports at heads, with two accounts.
func publishing(t *testing.T) (c *headtest.Center, jill, jack model.Account) {
	t.Helper()
	c = headtest.New(t, 1)
	c.Propose(command.SetSetting{Name: model.SettingPublish, Value: string(model.PublishEndpoint)})
	jill, jack = c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	for _, a := range []model.Account{jill, jack} {
		if _, err := c.Images.Pull(headtest.Context(t), a, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
			t.Fatal(err)
		}
	}
	return c, jill, jack
}

// exposing makes a container that publishes ports.
func exposing(t *testing.T, c *headtest.Center, a model.Account, ports ...model.Port) (model.Container, error) {
	t.Helper()
	made, _, err := c.Containers.Create(headtest.Context(t), a, model.CreateContainer{Spec: model.ContainerSpec{Image: "busybox", Ports: ports}})
	return made, err
}

func port(protocol string, asked ...model.EndpointPort) model.Port {
	return model.Port{Number: 80, Protocol: protocol, Published: true, Endpoint: asked}
}

// numbers are those at heads' addresses of the port 80.
func numbers(c model.Container) []uint16 {
	for _, p := range c.Spec.Ports {
		if p.Number == 80 && p.Published {
			return p.AtHeads()
		}
	}
	return nil
}

func TestPortsAtHeadsAreOneContainersAtATime(t *testing.T) {
	t.Parallel()
	c, jill, jack := publishing(t)
	ctx := headtest.Context(t)
	exact, some := model.EndpointPort{First: 8080, Last: 8080}, model.EndpointPort{First: 9000, Last: 9001}
	var made []model.Container
	for i, a := range []model.Account{jill, jack, jill, jack, jill, jack} {
		asked := []model.EndpointPort{exact, exact, some, some, {}, {}}[i]
		one, err := exposing(t, c, a, port("tcp", asked))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, one)
	}
	for i, want := range []uint16{8080, 8080, 9000, 9001, model.FirstEndpointPort, model.FirstEndpointPort + 1} {
		if got := numbers(made[i]); len(got) != 1 || got[0] != want {
			t.Errorf("container %d has %v, want %d", i, got, want)
		}
	}
	if _, err := exposing(t, c, jill, port("tcp", some)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a range without a free number: %v", err)
	}
	if udp, err := exposing(t, c, jill, port("udp", some)); err != nil || numbers(udp)[0] != 9000 {
		t.Errorf("the same range in another protocol: %v, %v", numbers(udp), err)
	}

	if err := c.Containers.Start(ctx, jill, made[0].ID); err != nil {
		t.Fatal(err)
	}
	err := c.Containers.Start(ctx, jack, made[1].ID)
	if want := "Bind for 0.0.0.0:8080 failed: port is already allocated"; !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), want) {
		t.Errorf("another account's container with the number: %v", err)
	}
	once, _, err := c.Containers.Create(ctx, jill, model.CreateContainer{
		Name: "once", Spec: model.ContainerSpec{Image: "busybox", AutoRemove: true, Ports: []model.Port{port("tcp", exact)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Containers.Start(ctx, jill, once.ID); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a third container with the number: %v", err)
	}
	c.Until("a container that was to be removed at its end is removed", func() bool {
		_, there := c.Store.View().Container(once.ID)
		return !there
	})
	if err := c.Containers.Restart(ctx, jill, made[0].ID, wire.StopRequest{}); err != nil {
		t.Errorf("the holder does not start again: %v", err)
	}
	if err := c.Containers.Remove(ctx, jill, made[0].ID, wire.RemoveRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Containers.Start(ctx, jack, made[1].ID); err != nil {
		t.Errorf("the number is free again: %v", err)
	}
}

func TestOnlyWhatHeadsCarryHasNumbers(t *testing.T) {
	t.Parallel()
	c, jill, jack := publishing(t)
	if made, err := exposing(t, c, jill, port("sctp", model.EndpointPort{}), model.Port{Number: 81, Protocol: "tcp"}); err != nil || len(numbers(made)) != 0 {
		t.Errorf("sctp has %v, %v", numbers(made), err)
	}
	c.Propose(command.SetAccountPublish{AccountID: jack.ID, Publish: model.PublishContainer})
	jack, _ = c.Store.View().Account(jack.ID) // as each request finds it
	if made, err := exposing(t, c, jack, port("tcp", model.EndpointPort{First: 8080, Last: 8080})); err != nil || len(numbers(made)) != 0 {
		t.Errorf("an account that publishes at its containers only has %v, %v", numbers(made), err)
	}
	all := model.CreateContainer{PublishAll: true, Spec: model.ContainerSpec{Image: "busybox"}} // the image exposes 80
	made, _, err := c.Containers.Create(headtest.Context(t), jill, all)
	if err != nil || len(numbers(made)) != 1 {
		t.Errorf("what the image exposes has %v, %v", numbers(made), err)
	}
	var many []model.Port
	for i := range 129 {
		many = append(many, model.Port{Number: uint16(1000 + i), Protocol: "tcp", Published: true})
	}
	if _, err := exposing(t, c, jill, many...); !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "129 ports are published, and 128 is the most") {
		t.Errorf("too many: %v", err)
	}
}
