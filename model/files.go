package model

import (
	"io/fs"
	"time"
)

// PathStat describes one file of a container, as Docker's archive calls tell
// it. Links are not followed in the path's last part.
type PathStat struct {
	Name       string      `json:"name"` // the last part of the path
	Size       int64       `json:"size"`
	Mode       fs.FileMode `json:"mode"`
	Mtime      time.Time   `json:"mtime"`
	LinkTarget string      `json:"link_target,omitempty"` // of a symbolic link, as a path from the container's root
}

// FileChangeKind tells how a file differs from the image's. The numbers are
// those of Docker's API.
type FileChangeKind int

// The kinds of change.
const (
	FileModified FileChangeKind = 0
	FileAdded    FileChangeKind = 1
	FileDeleted  FileChangeKind = 2
)

// FileChange is one file in which a container's root differs from its image.
type FileChange struct {
	Path string         `json:"path"` // from the container's root, with a leading slash
	Kind FileChangeKind `json:"kind"`
}

// ContainerSize is what a container takes of its node's disk, in bytes.
type ContainerSize struct {
	RW   int64 `json:"rw"`   // what it wrote
	Root int64 `json:"root"` // that and its image
}
