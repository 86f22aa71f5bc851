package model

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// Image is one image for one platform. Its bytes live on nodes; its
// configuration is replicated, so that any head can create a container from
// it and inspect it.
type Image struct {
	ID           string         `json:"id"`     // sha256:… of the config
	Digest       string         `json:"digest"` // sha256:… of the manifest
	MediaType    string         `json:"media_type"`
	OS           string         `json:"os"`
	Architecture string         `json:"architecture"`
	Variant      string         `json:"variant,omitempty"`
	Created      time.Time      `json:"created"`
	Author       string         `json:"author,omitempty"`
	Comment      string         `json:"comment,omitempty"`
	Size         int64          `json:"size"` // bytes of the unpacked layers
	Config       ImageConfig    `json:"config"`
	DiffIDs      []string       `json:"diff_ids"`
	History      []ImageHistory `json:"history,omitempty"`
	Holders      []string       `json:"holders,omitempty"` // ids of nodes that hold all of it
}

// ImageConfig is what an image says about the containers made from it.
type ImageConfig struct {
	User         string            `json:"user,omitempty"`
	ExposedPorts []string          `json:"exposed_ports,omitempty"` // "80/tcp"
	Env          []string          `json:"env,omitempty"`
	Entrypoint   []string          `json:"entrypoint,omitempty"`
	Cmd          []string          `json:"cmd,omitempty"`
	Volumes      []string          `json:"volumes,omitempty"`
	WorkingDir   string            `json:"working_dir,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	StopSignal   string            `json:"stop_signal,omitempty"`
	Shell        []string          `json:"shell,omitempty"`
	OnBuild      []string          `json:"on_build,omitempty"`
	// Healthcheck is nil where the image has none; its Shell is empty, for it is
	// the image's.
	Healthcheck *Healthcheck `json:"healthcheck,omitempty"`
}

// ImageHistory is one line of docker history.
type ImageHistory struct {
	Created    time.Time `json:"created"`
	CreatedBy  string    `json:"created_by,omitempty"`
	Author     string    `json:"author,omitempty"`
	Comment    string    `json:"comment,omitempty"`
	EmptyLayer bool      `json:"empty_layer,omitempty"`
	Size       int64     `json:"size"` // bytes of the unpacked layer
}

// ImageName is an account's name for an image: a tag or a digest reference.
type ImageName struct {
	AccountID string    `json:"account_id"`
	Ref       string    `json:"ref"` // normalized: docker.io/library/busybox:latest, or …@sha256:…
	ImageID   string    `json:"image_id"`
	Digest    string    `json:"digest"` // sha256:… that the name resolved to (an index's, where there is one)
	Updated   time.Time `json:"updated"`
}

// CheckPlatform returns an error of KindNotFound, in Docker's words, unless the
// image is for the platform "os/arch[/variant]" that was asked for, or "os" or
// "arch" alone. Empty asks for any. ref is what the user calls the image.
func (i *Image) CheckPlatform(ref, platform string) error {
	os, rest, slash := strings.Cut(platform, "/")
	arch, variant, _ := strings.Cut(rest, "/")
	switch {
	case platform == "",
		!slash && (os == i.OS || os == i.Architecture),
		slash && os == i.OS && arch == i.Architecture && (variant == "" || i.Variant == "" || variant == i.Variant):
		return nil
	}
	return Errorf(KindNotFound, "image with reference %.256s was found but its platform (%s/%s) does not match the specified platform (%.64s)",
		ref, i.OS, i.Architecture, platform)
}

// Layer is a layer of an image, with all below it.
type Layer struct {
	ChainID string // of the layer and those below it, as the OCI image specification defines it
	Size    int64  // bytes, of this layer alone
}

// Layers lists an image's layers, the lowest first, with the sizes that its
// history tells. Of an image whose history does not, all layers are one.
func (i *Image) Layers() []Layer {
	var sizes []int64
	for _, h := range i.History {
		if !h.EmptyLayer {
			sizes = append(sizes, h.Size)
		}
	}
	layers := make([]Layer, len(i.DiffIDs))
	chain := ""
	for at, diff := range i.DiffIDs {
		if at == 0 {
			chain = diff
		} else {
			chain = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(chain+" "+diff)))
		}
		layers[at].ChainID = chain
	}
	if len(sizes) != len(layers) {
		return []Layer{{ChainID: chain, Size: i.Size}}
	}
	for at, size := range sizes {
		layers[at].Size = size
	}
	return layers
}
