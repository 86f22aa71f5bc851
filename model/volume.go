package model

import (
	"regexp"
	"slices"
	"time"
)

// Volume is a file tree of an account that outlives the containers which mount
// it. It comes to be on a node when the first container mounts it, and from
// then on such containers go to that node.
type Volume struct {
	ID        string            `json:"id"` // names it on nodes
	Name      string            `json:"name"`
	AccountID string            `json:"account_id"`
	Driver    string            `json:"driver"`
	Size      int64             `json:"size,omitempty"` // bytes that it may hold; 0 is without bound
	Labels    map[string]string `json:"labels,omitempty"`
	Options   map[string]string `json:"options,omitempty"` // as they were asked for
	NodeID    string            `json:"node_id,omitempty"` // "" until it is first used
	Created   time.Time         `json:"created"`
	// Removing is set when it was removed and its node may still hold the
	// files. Nobody can name it any more.
	Removing bool `json:"removing,omitempty"`
	// Incomplete is set while its node fills it, from another volume or from a
	// stream: nothing can mount it before that is done.
	Incomplete bool `json:"incomplete,omitempty"`
	// Copies are what other nodes than NodeID may have of it.
	Copies []VolumeCopy `json:"copies,omitempty"`
	// Move is its way to another node, and LastMove what became of the one
	// before.
	Move     *VolumeMove  `json:"move,omitempty"`
	LastMove *TransferEnd `json:"last_move,omitempty"`
}

// VolumeCopy is what a node may have of a volume that is on another.
type VolumeCopy struct {
	NodeID string `json:"node_id"`
	// Dead copies are of no use and are to be removed. Any other is being made,
	// to become the volume: meanwhile nothing can mount it.
	Dead bool `json:"dead,omitempty"`
}

// Moving reports whether the volume is on its way to another node.
func (v *Volume) Moving() bool {
	return v.Move != nil || slices.ContainsFunc(v.Copies, func(c VolumeCopy) bool { return !c.Dead })
}

// State says in one word what can be done with the volume: ready, unused (it is
// on no node yet), incomplete or moving (nothing can mount it now).
func (v *Volume) State() string {
	switch {
	case v.Incomplete:
		return "incomplete"
	case v.Moving():
		return "moving"
	case v.NodeID == "":
		return "unused"
	}
	return "ready"
}

// VolumeDriver is the name of the one driver that volumes have.
const VolumeDriver = "local"

// LabelAnonymous marks volumes that were made without a name, as Docker does.
const LabelAnonymous = "com.docker.volume.anonymous"

// SettingVolumeSize is the setting that has the size, in bytes, of volumes that
// are made without one; "" or 0 is without bound.
const SettingVolumeSize = "volume_size"

// Anonymous reports whether the volume was made without a name.
func (v *Volume) Anonymous() bool {
	_, marked := v.Labels[LabelAnonymous]
	return marked
}

// MountsVolumes reports whether the container sees files of volumes.
func (s *ContainerSpec) MountsVolumes() bool {
	return slices.ContainsFunc(s.Mounts, func(m Mount) bool { return m.Type == MountVolume })
}

// MountsVolume reports whether the container sees files of the volume with that
// id.
func (s *ContainerSpec) MountsVolume(id string) bool {
	return slices.ContainsFunc(s.Mounts, func(m Mount) bool { return m.Type == MountVolume && m.VolumeID == id })
}

// VolumeUsage is what a volume takes of its node.
type VolumeUsage struct {
	Used int64 `json:"used"` // bytes of its files, snapshots left out
	// Snapshots is how many bytes only its snapshots hold.
	Snapshots int64 `json:"snapshots,omitempty"`
}

// VolumeSnapshot is the state of a volume at one moment.
type VolumeSnapshot struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Used    int64     `json:"used"` // bytes that only it holds
}

// maxVolumeName is Docker's.
const maxVolumeName = 255

var (
	volumeNameRule   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
	snapshotNameRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$`)
)

// CheckVolumeName returns an error of KindInvalid, in Docker's words, if name
// cannot name a volume.
func CheckVolumeName(name string) error {
	switch {
	case len(name) == 1:
		return Errorf(KindInvalid, "volume name is too short, names should be at least two alphanumeric characters")
	case len(name) > maxVolumeName:
		return Errorf(KindInvalid, "create %s: the volume's name is too long: it has %d characters at most", clip(name), maxVolumeName)
	case !volumeNameRule.MatchString(name):
		return Errorf(KindInvalid, "create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. "+
			"If you intended to pass a host directory, use absolute path", clip(name), clip(name))
	}
	return nil
}

// CheckSnapshotName returns an error of KindInvalid if name cannot name a
// snapshot of a volume.
func CheckSnapshotName(name string) error {
	if !snapshotNameRule.MatchString(name) {
		return Errorf(KindInvalid, "invalid name of a snapshot %q: use letters, digits and _ . -, 64 at most", clip(name))
	}
	return nil
}
