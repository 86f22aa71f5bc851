package agent_test

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// mounting is a request for a container that mounts a volume.
func mounting(volume string) wire.CreateRequest {
	r := wiretest.Request()
	r.Container.Spec.Mounts = []model.Mount{{Type: model.MountVolume, VolumeID: volume, Source: "data", Target: "/data"}}
	r.Volumes = []wire.VolumeRef{{ID: volume}}
	return r
}

func TestVolumesInUseStay(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	ctx, r := t.Context(), mounting("v")
	id := r.Container.ID
	must(t)(n.Create(ctx, r))
	must(t)(n.Start(ctx, id))
	for what, err := range map[string]error{
		"removed":                n.RemoveVolume(ctx, "v"),
		"restored":               n.RestoreVolume(ctx, "v", "s"),
		"replaced by a stream's": n.ReceiveVolume(ctx, "v", wire.ReceiveVolumeRequest{Onto: true}, strings.NewReader("")),
	} {
		if !model.IsKind(err, model.KindConflict) {
			t.Errorf("a volume of a running container is %s: %v", what, err)
		}
	}
	must(t)(n.Stop(ctx, id, wire.StopRequest{}))
	if err := n.RemoveVolume(ctx, "v"); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a volume of a stopped container is removed: %v", err)
	}
	must(t)(n.Remove(ctx, id, wire.RemoveRequest{}))
	wantNothingHeld(t, n.kernel)
	if err := n.RemoveVolume(ctx, "v"); err != nil {
		t.Error(err)
	}
	if _, there := n.kernel.HasVolume("v"); there {
		t.Error("the removed volume is there")
	}
}

// A volume that vanished makes the start fail, and nothing more.
func TestStartWithoutItsVolume(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	ctx, r := t.Context(), mounting("v")
	r.Volumes = nil // nobody makes it
	r.Container.Spec.Mounts[0].NoCopy = true
	must(t)(n.Create(ctx, r))
	if _, err := n.Start(ctx, r.Container.ID); err == nil {
		t.Error("it started")
	}
	must(t)(n.Remove(ctx, r.Container.ID, wire.RemoveRequest{}))
	wantNothingHeld(t, n.kernel)
}
