package image

import (
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
)

// newSnapshotter opens where layers are kept.
func (s *Store) newSnapshotter(cfg Config) (snapshots.Snapshotter, error) {
	if s.snapshotter == ZFS {
		return newDatasetSnapshotter(s.path(ZFS), cfg.Datasets)
	}
	return overlay.NewSnapshotter(s.path(Overlay), overlay.WithMountOptions(s.overlayOptions()))
}

// overlayOptions hold for layers and roots alike. Without an index the same
// layers can be mounted any number of times; metacopy and redirects would put
// references to lower files, which an image could forge, into upper directories.
func (s *Store) overlayOptions() []string {
	return []string{"index=off", "metacopy=off", "redirect_dir=nofollow"}
}
