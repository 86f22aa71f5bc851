package containers_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func removal(force bool) wire.RemoveRequest { return wire.RemoveRequest{Force: force} }

func TestFilesAreTheOwnersOnly(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a, other := headtest.Context(t), c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, a)
	m := create(t, c, a, request("web"))
	if err := c.Containers.WriteArchive(ctx, a, "web", wire.WriteArchiveRequest{Path: "/etc"}, strings.NewReader("tar")); err != nil {
		t.Fatal(err)
	}
	archive, err := c.Containers.ReadArchive(ctx, a, "web", "/etc")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(archive)
	if err != nil || string(body) != "tar" || archive.Stat.Name != "etc" {
		t.Errorf("read %q of %+v, error %v", body, archive.Stat, err)
	}
	archive.Close()
	if changes, err := c.Containers.Changes(ctx, a, "web"); err != nil || len(changes) != 1 {
		t.Errorf("changes %v, error %v", changes, err)
	}
	_, err = c.Containers.StatPath(ctx, a, "web", "/none")
	wantKind(t, err, model.KindNotFound, "Could not find the file /none in container "+m.ID)

	_, err = c.Containers.StatPath(ctx, other, m.ID, "/etc")
	wantKind(t, err, model.KindNotFound, "No such container")
	_, err = c.Containers.ReadArchive(ctx, other, m.ID, "/etc")
	wantKind(t, err, model.KindNotFound, "No such container")
	wantKind(t, c.Containers.WriteArchive(ctx, other, m.ID, wire.WriteArchiveRequest{Path: "/etc"}, strings.NewReader("x")), model.KindNotFound)
	_, err = c.Containers.Export(ctx, other, m.ID)
	wantKind(t, err, model.KindNotFound)
	_, err = c.Containers.Commit(ctx, other, m.ID, dockerapi.CommitRequest{})
	wantKind(t, err, model.KindNotFound)
	_, _, err = c.Containers.Stats(ctx, other, m.ID)
	wantKind(t, err, model.KindNotFound)
	if sizes, err := c.Containers.Sizes(ctx, other, []string{m.ID}); err != nil || len(sizes) != 0 {
		t.Errorf("another account measures %v, error %v", sizes, err)
	}
}

func TestArchivesCountAsStreams(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	create(t, c, a, request("web"))
	var open []io.Closer
	for range 64 {
		r, err := c.Containers.Export(ctx, a, "web")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	_, err := c.Containers.Export(ctx, a, "web")
	wantKind(t, err, model.KindExhausted, "64 streams")
	for _, r := range open {
		r.Close()
	}
	for range 65 { // a failed one keeps no place
		_, err := c.Containers.ReadArchive(ctx, a, "web", "/none")
		wantKind(t, err, model.KindNotFound)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	for _, n := range []string{"node-1", "node-2"} {
		c.Agent(n).Publish("docker.io/library/busybox@"+headtest.Image("busybox").Digest, headtest.Image("busybox"))
	}
	first, second := create(t, c, a, request("first")), create(t, c, a, request("second"))
	if first.NodeID == second.NodeID {
		t.Fatal("the containers are not spread")
	}
	_, _, err := c.Containers.Stats(ctx, a, "first")
	wantKind(t, err, model.KindConflict, "is not running")
	if err := c.Containers.Start(ctx, a, "first"); err != nil {
		t.Fatal(err)
	}
	if m, stats, err := c.Containers.Stats(ctx, a, "first"); err != nil || m.ID != first.ID || stats.CPU.Total != 7 {
		t.Errorf("stats %+v of %s, error %v", stats, m.Name, err)
	}
	ids := []string{first.ID, second.ID, model.NewID()}
	sizes, err := c.Containers.Sizes(ctx, a, ids)
	want := map[string]model.ContainerSize{first.ID: {RW: 10, Root: 1010}, second.ID: {RW: 10, Root: 1010}}
	if diff := cmp.Diff(want, sizes); diff != "" || err != nil {
		t.Error(diff, err)
	}
	n, _ := c.Store.View().Node(second.NodeID)
	c.Agent(n.Name).Cut(true)
	sizes, err = c.Containers.Sizes(ctx, a, ids)
	delete(want, second.ID)
	if diff := cmp.Diff(want, sizes); diff != "" || err != nil {
		t.Errorf("with a node out of reach: %s, error %v", diff, err)
	}
}

func TestHealthIsTheStatesWhereTheNodeCannotBeAsked(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	r := request("web")
	r.Spec.Healthcheck = &model.Healthcheck{Test: []string{"CMD", "true"}}
	m := create(t, c, a, r)
	m.State.Health = &model.Health{Status: model.HealthUnhealthy, FailingStreak: 3}
	c.Agent("node-1").Cut(true)
	health, err := c.Containers.Health(ctx, m)
	if err != nil || health.Status != model.HealthUnhealthy {
		t.Errorf("health %+v, error %v", health, err)
	}
}
