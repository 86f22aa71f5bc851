package wiretest

import (
	"bytes"
	"io"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// volumesAreCarried checks calls about VolumeID, and about one that is not there.
func (s *suite) volumesAreCarried() {
	ids, err := s.agent.Volumes(s.ctx)
	s.ok(err)
	usage, err := s.agent.VolumeUsage(s.ctx, []string{VolumeID, "none"})
	s.ok(err)
	if len(ids) != 1 || ids[0] != VolumeID || len(usage) != 1 || usage[VolumeID].Used != int64(len(VolumeContent)) {
		s.Errorf("volumes %v take %+v", ids, usage)
	}
	snapshots, err := s.agent.VolumeSnapshots(s.ctx, VolumeID)
	s.ok(err)
	if len(snapshots) != 1 || cmp.Diff(model.VolumeSnapshot{Name: "daily", Created: snapshots[0].Created, Used: 7}, snapshots[0]) != "" {
		s.Errorf("snapshots are %+v", snapshots)
	}
	for what, call := range map[string]func(id string) error{
		"snapshot":        func(id string) error { return s.agent.SnapshotVolume(s.ctx, id, "x") },
		"remove snapshot": func(id string) error { return s.agent.RemoveSnapshot(s.ctx, id, "x") },
		"restore":         func(id string) error { return s.agent.RestoreVolume(s.ctx, id, "x") },
		"clone": func(id string) error {
			return s.agent.CloneVolume(s.ctx, id, wire.CloneVolumeRequest{To: wire.VolumeRef{ID: "y", Size: 1}})
		},
	} {
		s.ok(call(VolumeID))
		if err := call("none"); !model.IsKind(err, model.KindNotFound) {
			s.Errorf("%s of no volume: %v", what, err)
		}
	}
	if err := s.agent.ResizeVolume(s.ctx, VolumeID, 1); !model.IsKind(err, model.KindNotImplemented) {
		s.Errorf("resize: %v", err)
	}
	s.ok(s.agent.RemoveVolume(s.ctx, "none"))
	if err := s.agent.RemoveVolume(s.ctx, VolumeID); !model.IsKind(err, model.KindConflict) {
		s.Errorf("remove of a volume in use: %v", err)
	}
	stream, err := s.agent.SendVolume(s.ctx, VolumeID, wire.SendVolumeRequest{})
	s.ok(err)
	sent, err := io.ReadAll(stream)
	s.ok(err)
	s.ok(stream.Close())
	s.ok(s.agent.ReceiveVolume(s.ctx, "z", wire.ReceiveVolumeRequest{Size: 9}, bytes.NewReader(sent)))
	if err := s.agent.ReceiveVolume(s.ctx, "z", wire.ReceiveVolumeRequest{}, strings.NewReader("else")); !model.IsKind(err, model.KindInvalid) {
		s.Errorf("a stream that is none: %v", err)
	}
}
