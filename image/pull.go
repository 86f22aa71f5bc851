package image

import (
	"context"

	"github.com/spearheadcloud/spearhead/model"
)

// PullRequest names an image at a registry and how the user is known there.
// The credentials live as long as the request; they are not stored or logged.
type PullRequest struct {
	Ref           string // normalized, with a tag or a digest
	Platform      string // "os/arch[/variant]"; "" is this machine's
	Username      string
	Password      string
	IdentityToken string
	RegistryToken string
}

// Progress tells of one layer of a pull, in Docker's words.
type Progress struct {
	Layer   string // short digest, 12 hex digits
	Status  string
	Current int64 // bytes
	Total   int64
}

// Pull makes the node hold an image whole.
func (s *Store) Pull(ctx context.Context, r PullRequest, progress func(Progress)) (image model.Image, resolvedDigest string, isNew bool, err error) {
	return image, "", false, model.Errorf(model.KindNotImplemented, "pull is not built yet")
}
