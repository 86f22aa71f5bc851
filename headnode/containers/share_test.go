package containers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

func TestVolumesFrom(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTrusted)
	pull(t, c, a)
	for _, n := range []string{"node-1", "node-2"} {
		c.Agent(n).Publish("docker.io/library/busybox@"+headtest.Image("busybox").Digest, headtest.Image("busybox"))
	}
	source := request("data")
	source.Spec.Mounts = []model.Mount{
		{Type: "bind", Source: "/srv/a", Target: "/a"}, {Type: "bind", Source: "/srv/b", Target: "/b"},
		{Type: "bind", Source: "/srv/c", Target: "/c", ReadOnly: true}, {Type: "tmpfs", Target: "/t"},
	}
	data := create(t, c, a, source)
	r := request("web")
	r.Asked.VolumesFrom = []string{"data:ro"}
	r.Spec.Mounts = []model.Mount{{Type: "bind", Source: "/own", Target: "/a"}}
	r.Spec.Tmpfs = map[string]string{"/b": ""}
	web := create(t, c, a, r)
	if web.NodeID != data.NodeID {
		t.Errorf("data is on %s, its user on %s", data.NodeID, web.NodeID)
	}
	want := []model.Mount{{Type: "bind", Source: "/own", Target: "/a"}, {Type: "bind", Source: "/srv/c", Target: "/c", ReadOnly: true}}
	if diff := cmp.Diff(want, web.Spec.Mounts); diff != "" {
		t.Error(diff)
	}
	r = request("writer")
	r.Asked.VolumesFrom = []string{data.ID[:12] + ":rw"}
	if m := create(t, c, a, r).Spec.Mounts; len(m) != 3 || m[0].ReadOnly || !m[2].ReadOnly {
		t.Errorf("mounts for writing: %+v", m)
	}
	for from, want := range map[string]struct {
		kind model.Kind
		text string
	}{
		"nobody":   {model.KindInvalid, "No such container: nobody"},
		"data:wr":  {model.KindInvalid, "invalid mode"},
		":ro":      {model.KindInvalid, "malformed volumesFrom specification"},
		"data:ro:": {model.KindInvalid, "invalid mode"},
	} {
		r.Name, r.Asked.VolumesFrom = "", []string{from}
		_, _, err := c.Containers.Create(ctx, a, r)
		wantKind(t, err, want.kind, want.text)
	}
	// What was allowed while the account was trusted is not handed on later.
	a.Policy = model.PolicyTenant
	r.Asked.VolumesFrom = []string{"data"}
	_, _, err := c.Containers.Create(ctx, a, r)
	wantKind(t, err, model.KindForbidden, "HostConfig.VolumesFrom", `"/a"`, `"/c"`)
}

// TestWhoIsMissingIsNoMissingImage holds the kind of error after which Docker's
// client does not pull.
func TestWhoIsMissingIsNoMissingImage(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	for want, change := range map[string]func(*model.ContainerSpec){
		"network nowhere not found":  func(s *model.ContainerSpec) { s.Network = "nowhere" },
		"No such container: nobody":  func(s *model.ContainerSpec) { s.Network = "container:nobody" },
		"No such container: someone": func(s *model.ContainerSpec) { s.IpcMode = "container:someone" },
	} {
		r := request("web")
		change(&r.Spec)
		_, _, err := c.Containers.Create(ctx, a, r)
		wantKind(t, err, model.KindInvalid, want)
	}
}

func TestStartNeedsThoseWhoseNamespacesAreShared(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	donor := create(t, c, a, request("donor"))
	for name, change := range map[string]func(*model.ContainerSpec){
		"network": func(s *model.ContainerSpec) { s.Network = "container:donor" },
		"PID":     func(s *model.ContainerSpec) { s.PidMode = "container:donor" },
		"IPC":     func(s *model.ContainerSpec) { s.IpcMode = "container:donor" },
	} {
		r := request(name)
		change(&r.Spec)
		create(t, c, a, r)
		wantKind(t, c.Containers.Start(ctx, a, name), model.KindConflict, "cannot join "+name, "of a non running container: "+donor.ID)
	}
	if err := c.Containers.Start(ctx, a, "donor"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"network", "PID", "IPC"} {
		if err := c.Containers.Start(ctx, a, name); err != nil {
			t.Error(err)
		}
	}
}

func TestImagesHealthcheckIsMerged(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	img := headtest.Image("busybox")
	img.Config.Healthcheck = &model.Healthcheck{Test: []string{"CMD-SHELL", "true"}, Interval: 7, Retries: 2}
	img.Config.Shell, img.Config.StopSignal = []string{"/bin/ash", "-c"}, "SIGQUIT"
	c.Agent("node-1").Publish(headtest.Busybox, img)
	pull(t, c, a)
	for _, tc := range []struct {
		name        string
		asked, want *model.Healthcheck
	}{
		{"nothing asked", nil, &model.Healthcheck{Test: []string{"CMD-SHELL", "true"}, Interval: 7, Retries: 2, Shell: []string{"/bin/ash", "-c"}}},
		{"a part", &model.Healthcheck{Interval: 9}, &model.Healthcheck{Test: []string{"CMD-SHELL", "true"}, Interval: 9, Retries: 2, Shell: []string{"/bin/ash", "-c"}}},
		{"another", &model.Healthcheck{Test: []string{"CMD", "x"}, Shell: []string{"sh"}}, &model.Healthcheck{Test: []string{"CMD", "x"}, Interval: 7, Retries: 2, Shell: []string{"sh"}}},
		{"none", &model.Healthcheck{Test: []string{"NONE"}}, &model.Healthcheck{Test: []string{"NONE"}, Interval: 7, Retries: 2, Shell: []string{"/bin/ash", "-c"}}},
	} {
		r := request("")
		r.Spec.Healthcheck = tc.asked
		m := create(t, c, a, r)
		if diff := cmp.Diff(tc.want, m.Spec.Healthcheck); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if m.Spec.StopSignal != "SIGQUIT" {
			t.Errorf("stop signal %q", m.Spec.StopSignal)
		}
	}
}
