package images

import (
	"context"
	"errors"
	"io"

	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Push implements dockerapi.Transfers. Of several tags, those before the first
// that fails are pushed.
func (s *Service) Push(ctx context.Context, a model.Account, r dockerapi.PushRequest, step func(dockerapi.PushStep)) error {
	names, err := namesToPush(s.store.View(), a.ID, r.Ref)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.push(ctx, name, r, step); err != nil {
			return err
		}
	}
	return nil
}

// namesToPush are the account's name ref or, without a tag, its tags of that
// repository.
func namesToPush(v *state.View, accountID, ref string) ([]model.ImageName, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, model.Errorf(model.KindInvalid, "invalid reference format: %q names no image", ref)
	}
	all := tagsOf(v, accountID, named.Name())
	if len(all) == 0 {
		return nil, model.Errorf(model.KindNotFound, "An image does not exist locally with the tag: %s", reference.FamiliarName(named))
	}
	if reference.IsNameOnly(named) {
		return all, nil
	}
	for _, n := range all {
		if n.Ref == named.String() {
			return []model.ImageName{n}, nil
		}
	}
	return nil, model.Errorf(model.KindNotFound, "tag does not exist: %s", reference.FamiliarString(named))
}

// tagsOf lists an account's names with tags of a normalized repository.
func tagsOf(v *state.View, accountID, repo string) []model.ImageName {
	var tags []model.ImageName
	for _, n := range v.ImageNames(accountID) {
		named, err := reference.ParseNormalizedNamed(n.Ref)
		if err != nil || nameless(*n) || named.Name() != repo {
			continue
		}
		if _, ok := named.(reference.Tagged); ok {
			tags = append(tags, *n)
		}
	}
	return tags
}

// push sends one tag, and notes under which digest the registry has it: from
// then on, the image can be pulled again from there.
func (s *Service) push(ctx context.Context, name model.ImageName, r dockerapi.PushRequest, step func(dockerapi.PushStep)) error {
	img, ok := s.store.View().Image(name.ImageID)
	if !ok {
		return missing(name.Ref)
	}
	if err := img.CheckPlatform(familiar(name.Ref), r.Platform); err != nil {
		return err
	}
	var pushed *wire.PushedImage
	var failed error // of a push that had begun: no other node is to begin anew
	nodeID, err := s.onNode(ctx, name.AccountID, []model.Image{img}, func(agent wire.Agent) error {
		stream, err := agent.PushImage(ctx, wire.PushRequest{ImageID: img.ID, Ref: name.Ref, Auth: r.Auth})
		if err != nil {
			return err
		}
		defer stream.Close()
		began := false
		pushed, err = followPush(stream, func(said dockerapi.PushStep) {
			began = true
			step(said)
		})
		if began {
			failed, err = err, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	step(dockerapi.PushStep{Tag: tagOf(name.Ref), Pushed: *pushed})
	name.Digest = pushed.Digest
	return s.give(ctx, name.AccountID, nodeID, command.ActionPush, name, img)
}

func tagOf(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	tagged, ok := named.(reference.Tagged)
	if !ok {
		return ""
	}
	return tagged.Tag()
}

// followPush reads a push to its end.
func followPush(stream wire.PushStream, step func(dockerapi.PushStep)) (*wire.PushedImage, error) {
	for {
		m, err := stream.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, model.Errorf(model.KindUnavailable, "the node ended the push before it was complete; try again")
		case err != nil:
			return nil, err
		case m.Error != nil:
			return nil, m.Error.Err()
		case m.Pushed != nil:
			return m.Pushed, nil
		case m.Progress != nil:
			step(dockerapi.PushStep{PullProgress: *m.Progress})
		}
	}
}
