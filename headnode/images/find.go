package images

import (
	"errors"
	"strings"

	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Find resolves what a user calls an image: a name with a tag (latest if none)
// or digest, an id, or a prefix of an id that no other image of the account
// has. KindNotFound carries the text after which Docker's client pulls.
func Find(v *state.View, accountID, ref string) (model.Image, error) {
	named, err := parse(ref)
	if err == nil {
		if n, ok := findName(v, accountID, named); ok {
			if img, ok := v.Image(n.ImageID); ok {
				return img, nil
			}
		}
	}
	id, ok, ambiguous := findID(v, accountID, ref)
	switch {
	case ambiguous:
		return model.Image{}, model.Errorf(model.KindInvalid, "multiple IDs found with provided prefix: %s", ref)
	case ok:
		if img, ok := v.Image(id); ok {
			return img, nil
		}
	case err != nil && !errors.Is(err, errIsID):
		return model.Image{}, err
	}
	return model.Image{}, missing(ref)
}

func missing(ref string) error {
	if named, err := parse(ref); err == nil {
		ref = reference.FamiliarString(named)
	}
	return model.Errorf(model.KindNotFound, "No such image: %s", ref)
}

// parse normalizes a name: docker.io/library/busybox:latest. With a digest, a
// tag means nothing and is dropped. An id is not a name, but it is no error.
func parse(ref string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		if hex := strings.TrimPrefix(ref, "sha256:"); model.IsIDPrefix(hex) {
			return nil, errIsID
		}
		return nil, model.Errorf(model.KindInvalid, "invalid reference format: %q names no image", ref)
	}
	if digested, ok := named.(reference.Digested); ok {
		canonical, err := reference.WithDigest(reference.TrimNamed(named), digested.Digest())
		if err != nil {
			return nil, model.Errorf(model.KindInvalid, "invalid reference format: %q names no image", ref)
		}
		return canonical, nil
	}
	return reference.TagNameOnly(named), nil
}

// checkName refuses a normalized name that users would take for an id.
func checkName(ref string) error {
	if named, err := reference.ParseNormalizedNamed(ref); err == nil && reference.FamiliarName(named) == "sha256" {
		return model.Errorf(model.KindInvalid, "refusing to create an ambiguous tag using digest algorithm as name")
	}
	return nil
}

var errIsID = model.Errorf(model.KindNotFound, "an image id is not a name; write NAME:TAG")

// findName finds a name as it is, or, for a digest, any name of the same
// repository that resolved to it.
func findName(v *state.View, accountID string, named reference.Named) (model.ImageName, bool) {
	if n, ok := v.ImageName(accountID, named.String()); ok {
		return n, true
	}
	digested, ok := named.(reference.Digested)
	if !ok {
		return model.ImageName{}, false
	}
	for _, n := range v.ImageNames(accountID) {
		if n.Digest == digested.Digest().String() && repository(n.Ref) == named.Name() {
			return *n, true
		}
	}
	return model.ImageName{}, false
}

func findID(v *state.View, accountID, ref string) (id string, ok, ambiguous bool) {
	hex := strings.TrimPrefix(ref, "sha256:")
	if !model.IsIDPrefix(hex) {
		return "", false, false
	}
	for _, n := range v.ImageNames(accountID) {
		if !strings.HasPrefix(n.ImageID, "sha256:"+hex) || n.ImageID == id {
			continue
		}
		if id != "" {
			return "", false, true
		}
		id = n.ImageID
	}
	return id, id != "", false
}

// repository is a normalized reference without tag and digest.
func repository(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return named.Name()
}
