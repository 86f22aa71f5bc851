package volumes

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// undoTime bounds the undoing of what failed, which goes on when its caller has
// gone.
const undoTime = 30 * time.Second

// All returns the volumes of all accounts, and what they take as far as their
// nodes can be asked.
func (s *Service) All(ctx context.Context) ([]dockerapi.Volume, map[string]model.VolumeUsage, error) {
	v := s.store.View()
	all := []dockerapi.Volume{}
	for _, vol := range v.AllVolumes() {
		if !vol.Removing {
			all = append(all, dockerapi.Volume{Volume: *vol, Containers: len(v.ContainersOfVolume(vol.ID))})
		}
	}
	usage, err := s.VolumeUsage(ctx, all)
	return all, usage, err
}

// find returns a volume that is on a node.
func (s *Service) find(a model.Account, name string) (model.Volume, wire.Agent, error) {
	vol, ok := s.store.View().VolumeByName(a.ID, name)
	switch {
	case !ok:
		return vol, nil, noSuchVolume(name)
	case vol.NodeID == "":
		return vol, nil, model.Errorf(model.KindConflict, "volume %s is on no node yet: it comes to be with the first container that mounts it", name)
	case vol.Incomplete:
		return vol, nil, model.Errorf(model.KindConflict, "volume %s is still being filled, or its filling was broken off; wait, or remove it", name)
	}
	return vol, s.agents.Agent(vol.NodeID), nil
}

// checkSnapshot refuses names that are no names, and those that Spearhead gives.
func checkSnapshot(name string) error {
	if strings.HasPrefix(name, "spearhead-") {
		return model.Errorf(model.KindInvalid, "invalid name of a snapshot %q: those that begin with spearhead- are the data center's own", name)
	}
	return model.CheckSnapshotName(name)
}

// Snapshot takes a snapshot of a volume, also while containers use it.
func (s *Service) Snapshot(ctx context.Context, a model.Account, name, snapshot string) error {
	if err := checkSnapshot(snapshot); err != nil {
		return err
	}
	vol, agent, err := s.find(a, name)
	if err != nil {
		return err
	}
	return agent.SnapshotVolume(ctx, vol.ID, snapshot)
}

// Snapshots lists a volume's snapshots, the oldest first.
func (s *Service) Snapshots(ctx context.Context, a model.Account, name string) ([]model.VolumeSnapshot, error) {
	vol, agent, err := s.find(a, name)
	if err != nil {
		return nil, err
	}
	return agent.VolumeSnapshots(ctx, vol.ID)
}

// RemoveSnapshot removes a snapshot of a volume.
func (s *Service) RemoveSnapshot(ctx context.Context, a model.Account, name, snapshot string) error {
	if err := checkSnapshot(snapshot); err != nil {
		return err
	}
	vol, agent, err := s.find(a, name)
	if err != nil {
		return err
	}
	return agent.RemoveSnapshot(ctx, vol.ID, snapshot)
}

// Restore makes a volume what it was at a snapshot. Newer snapshots are lost.
// KindConflict while a running container mounts it.
func (s *Service) Restore(ctx context.Context, a model.Account, name, snapshot string) error {
	if err := checkSnapshot(snapshot); err != nil {
		return err
	}
	vol, agent, err := s.find(a, name)
	if err != nil {
		return err
	}
	return agent.RestoreVolume(ctx, vol.ID, snapshot)
}

// Resize changes how much a volume may hold, also while containers use it; 0
// takes the bound away. What the state has promised is never less than what
// the node holds the volume to. When it is broken off, the same again ends it.
func (s *Service) Resize(ctx context.Context, a model.Account, name string, size int64) error {
	vol, ok := s.store.View().VolumeByName(a.ID, name)
	if !ok {
		return noSuchVolume(name)
	}
	promise := func() error {
		_, err := s.store.Propose(ctx, command.SetVolumeSize{ID: vol.ID, Before: vol.Size, Size: size})
		return err
	}
	if vol.NodeID == "" {
		if size > 0 && !s.sized() {
			return errNoSizes
		}
		return promise()
	}
	agent := s.agents.Agent(vol.NodeID)
	shrinks := vol.Size == 0 && size > 0 || size > 0 && size < vol.Size
	if shrinks {
		if err := agent.ResizeVolume(ctx, vol.ID, size); err != nil {
			return err
		}
		return promise()
	}
	if err := promise(); err != nil {
		return err
	}
	return agent.ResizeVolume(ctx, vol.ID, size)
}

var errNoSizes = model.Errorf(model.KindConflict, "no node of the data center can hold a volume to a size: that needs ZFS")

// SetDefaultSize decides how much a volume may hold that is made without a
// size, from now on; 0 is without bound.
func (s *Service) SetDefaultSize(ctx context.Context, size int64) error {
	if size < 0 {
		return model.Errorf(model.KindInvalid, "a size of volumes is negative")
	}
	if size > 0 && !s.sized() {
		return errNoSizes
	}
	_, err := s.store.Propose(ctx, command.SetSetting{Name: model.SettingVolumeSize, Value: strconv.FormatInt(size, 10)})
	return err
}

// DefaultSize is how much a volume may hold that is made without a size; 0 is
// without bound.
func (s *Service) DefaultSize() int64 { return s.store.View().DefaultVolumeSize() }

// Clone makes a new volume of a snapshot, or of the files of this moment, on
// the same node. It has the size of the old one.
func (s *Service) Clone(ctx context.Context, a model.Account, name, snapshot, to string) error {
	vol, agent, err := s.find(a, name)
	if err != nil {
		return err
	}
	if snapshot != "" {
		if err := checkSnapshot(snapshot); err != nil {
			return err
		}
	}
	made := model.Volume{Name: to, Size: vol.Size, Labels: vol.Labels, Options: vol.Options, NodeID: vol.NodeID}
	return s.fill(ctx, a, made, func(id string) error {
		return agent.CloneVolume(ctx, vol.ID, wire.CloneVolumeRequest{Snapshot: snapshot, To: wire.VolumeRef{ID: id, Size: vol.Size}})
	})
}

// fill makes a volume of what its node does in work. It is recorded before, and
// can be used after; a volume whose filling has failed is removed.
func (s *Service) fill(ctx context.Context, a model.Account, v model.Volume, work func(id string) error) error {
	if v.Anonymous() {
		v.Labels = nil // it has a name
	}
	v.ID, v.AccountID, v.Driver, v.Created, v.Incomplete = model.NewID()[:32], a.ID, model.VolumeDriver, time.Now().UTC(), true
	if _, err := s.store.Propose(ctx, command.CreateVolume{Volume: v}); err != nil {
		return err
	}
	err := failpoint.Hit("head.volume.recorded")
	if err == nil {
		err = work(v.ID)
	}
	if err == nil {
		_, err = s.store.Propose(ctx, command.FinishVolume{ID: v.ID})
	}
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if undone := s.remove(ctx, v); undone != nil {
		s.log.Error("cannot remove a volume that was not filled; it stays incomplete", slog.String("volume", v.ID), slog.Any("err", undone))
	}
	return err
}

// Send returns a snapshot of a volume, or the files of this moment, as a stream
// for Receive. With base, an older snapshot, it has only what changed since.
func (s *Service) Send(ctx context.Context, a model.Account, name, snapshot, base string) (io.ReadCloser, error) {
	for _, given := range []string{snapshot, base} {
		if given != "" {
			if err := checkSnapshot(given); err != nil {
				return nil, err
			}
		}
	}
	vol, agent, err := s.find(a, name)
	if err != nil {
		return nil, err
	}
	// It goes on when its sender was away for a moment.
	return wire.Resuming(ctx, wire.SendVolumeRequest{Snapshot: snapshot, Base: base}, func(ctx context.Context, r wire.SendVolumeRequest) (io.ReadCloser, error) {
		return agent.SendVolume(ctx, vol.ID, r)
	})
}

// Receive makes a volume of a whole stream, on a node by name or, with "", on
// the one that has most disk to promise. With size 0 it is without bound.
func (s *Service) Receive(ctx context.Context, a model.Account, name, nodeName string, size int64, stream io.Reader) error {
	node, err := s.target(nodeName)
	if err != nil {
		return err
	}
	return s.fill(ctx, a, model.Volume{Name: name, Size: size, NodeID: node.ID}, func(id string) error {
		err := s.agents.Agent(node.ID).ReceiveVolume(ctx, id, wire.ReceiveVolumeRequest{Size: size}, stream)
		return brokenOff(err, "there is no volume %s; send the stream again from its beginning", name)
	})
}

// brokenOff tells who sends a stream what to do when its receiver went away: the
// stream is theirs, and nobody else can send it again.
func brokenOff(err error, format string, args ...any) error {
	if !model.IsKind(err, model.KindUnavailable) {
		return err
	}
	return model.WrapError(model.KindUnavailable, err, "the node went away before it had the whole stream: "+format, args...)
}

// ReceiveChanges adds to a volume what a stream has that was sent with a base
// that the volume has. Nothing may use it; what it has besides is lost.
func (s *Service) ReceiveChanges(ctx context.Context, a model.Account, name string, stream io.Reader) error {
	vol, agent, err := s.find(a, name)
	if err != nil {
		return err
	}
	err = agent.ReceiveVolume(ctx, vol.ID, wire.ReceiveVolumeRequest{Size: vol.Size, Onto: true}, stream)
	return brokenOff(err, "the volume has none of the changes; send them again from the beginning")
}

// Target is the name of the node that a volume which no container mounts would
// go to, from a node that is to be emptied.
func (s *Service) Target(from string, vol *model.Volume) (string, error) {
	v := s.store.View()
	here, ok := v.Node(from)
	switch {
	case !ok:
		return "", model.Errorf(model.KindNotFound, "there is no such node")
	case vol.Moving() || vol.Incomplete:
		return "", model.Errorf(model.KindConflict, "it is being filled or moved already")
	}
	kind := func(n *model.Node) bool { return n.Info.VolumeQuota || !here.Info.VolumeQuota } // else its size and snapshots are lost
	var best, former *model.Node
	for _, n := range v.Nodes() {
		takes := n.Approved && !n.Cordoned && !n.Lost && kind(n) && s.agents.Connected(n.ID) && n.ID != from
		fits := vol.Size == 0 || free(v, n) >= vol.Size
		switch {
		case !takes || !fits:
		case slices.ContainsFunc(vol.Copies, func(c model.VolumeCopy) bool { return c.NodeID == n.ID }):
			former = n
		case best == nil || free(v, n) > free(v, best):
			best = n
		}
	}
	switch {
	case best == nil && former != nil:
		return "", model.Errorf(model.KindConflict, "node %s has an old copy of it, which is being removed; try again in a moment", former.Name)
	case best == nil && here.Info.VolumeQuota:
		return "", model.Errorf(model.KindExhausted, "no other node with ZFS has room for it")
	case best == nil:
		return "", model.Errorf(model.KindExhausted, "no other node can take it")
	}
	return best.Name, nil
}

// free is how much more disk can be promised of a node.
func free(v *state.View, n *model.Node) int64 { return placement.Free(n, v.Promised(n.ID)).Disk }

// target finds a node that can take a stream.
func (s *Service) target(name string) (*model.Node, error) {
	v := s.store.View()
	var best *model.Node
	for _, n := range v.Nodes() {
		switch {
		case name != "" && n.Name != name && n.ID != name:
		case name != "" && !n.Info.VolumeQuota:
			return nil, model.Errorf(model.KindConflict, "node %s has no ZFS, which streams of volumes need", n.Name)
		case name != "":
			return n, nil
		case n.Approved && !n.Cordoned && !n.Lost && n.Info.VolumeQuota && s.agents.Connected(n.ID) && (best == nil || free(v, n) > free(v, best)):
			best = n
		}
	}
	switch {
	case best != nil:
		return best, nil
	case name != "":
		return nil, model.Errorf(model.KindNotFound, "there is no node %q", name)
	}
	return nil, model.Errorf(model.KindExhausted, "no node that is connected has ZFS, which streams of volumes need")
}
