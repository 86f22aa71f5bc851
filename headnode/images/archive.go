package images

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/imageconfig"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Save implements dockerapi.Transfers: the node that holds the most of the
// images makes the archive.
func (s *Service) Save(ctx context.Context, a model.Account, refs []string, platform string) (io.ReadCloser, error) {
	v := s.store.View()
	var all []model.Image
	var r wire.SaveRequest
	for _, ref := range refs {
		found, err := imagesToSave(v, a.ID, ref)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			img, ok := v.Image(f.ImageID)
			if !ok {
				return nil, missing(ref)
			}
			if err := img.CheckPlatform(ref, platform); err != nil {
				return nil, err
			}
			at := slices.IndexFunc(r.Images, func(i wire.SavedImage) bool { return i.ImageID == f.ImageID })
			if at < 0 {
				at = len(all)
				all, r.Images = append(all, img), append(r.Images, wire.SavedImage{ImageID: img.ID})
			}
			if f.Ref != "" && !slices.Contains(r.Images[at].Refs, f.Ref) {
				r.Images[at].Refs = append(r.Images[at].Refs, f.Ref)
			}
		}
	}
	var archive io.ReadCloser
	_, err := s.onNode(ctx, a.ID, all, func(agent wire.Agent) (err error) {
		archive, err = agent.SaveImages(ctx, r)
		return err
	})
	return archive, err
}

// imagesToSave is the image that ref names, with that name; all tags of a
// repository, if ref is one; or an image without a name, if ref is its id.
func imagesToSave(v *state.View, accountID, ref string) ([]model.ImageName, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err == nil && reference.IsNameOnly(named) {
		if tags := tagsOf(v, accountID, named.Name()); len(tags) > 0 {
			return tags, nil
		}
	}
	img, err := Find(v, accountID, ref)
	if err != nil {
		return nil, err
	}
	saved := model.ImageName{ImageID: img.ID}
	if name, ok := namedBy(v, accountID, ref, img.ID); ok && tagOf(name.Ref) != "" && tagOf(ref) != "" {
		saved.Ref = name.Ref
	}
	return []model.ImageName{saved}, nil
}

// Load implements dockerapi.Transfers: the least loaded node takes the
// archive.
func (s *Service) Load(ctx context.Context, a model.Account, r dockerapi.LoadRequest, tar io.Reader, step func(dockerapi.LoadStep)) error {
	nodeID, err := s.chooseNode(s.store.View())
	if err != nil {
		return err
	}
	defer s.expect(nodeID)()
	stream, err := s.agents.Agent(nodeID).LoadImages(ctx, wire.LoadRequest{Platform: r.Platform}, tar)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		m, err := stream.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case m.Error != nil:
			return m.Error.Err()
		case m.Progress != nil:
			step(dockerapi.LoadStep{PullProgress: *m.Progress})
		case m.Image != nil:
			names, err := s.take(ctx, a.ID, nodeID, m.Image)
			if err != nil {
				return err
			}
			step(dockerapi.LoadStep{ID: m.Image.Image.ID, Names: names})
		}
	}
}

// take gives an account an image of an archive under the names that it has
// there, and returns these as users write them.
func (s *Service) take(ctx context.Context, accountID, nodeID string, loaded *wire.LoadedImage) (names []string, err error) {
	for _, ref := range loaded.Refs {
		named, err := parse(ref)
		if err != nil || tagOf(named.String()) == "" {
			return nil, model.Errorf(model.KindInvalid, "invalid archive: %.256q in it names no image", ref)
		}
		if err := s.own(ctx, accountID, nodeID, command.ActionLoad, named.String(), loaded.Image); err != nil {
			return nil, err
		}
		names = append(names, familiar(named.String()))
	}
	if len(loaded.Refs) > 0 {
		return names, nil
	}
	return nil, s.own(ctx, accountID, nodeID, command.ActionLoad, "", loaded.Image)
}

// Import implements dockerapi.Transfers.
func (s *Service) Import(ctx context.Context, a model.Account, r dockerapi.ImportRequest, tar io.Reader) (string, error) {
	config, err := imageconfig.Apply(model.ImageConfig{}, r.Changes)
	if err != nil {
		return "", err
	}
	nodeID, err := s.chooseNode(s.store.View())
	if err != nil {
		return "", err
	}
	defer s.expect(nodeID)()
	request := wire.ImportRequest{Config: config, Comment: cmp.Or(r.Message, "Imported from -"), Platform: r.Platform}
	img, err := s.agents.Agent(nodeID).ImportImage(ctx, request, tar)
	if err != nil {
		return "", err
	}
	return img.ID, s.own(ctx, a.ID, nodeID, command.ActionImport, r.Name, img)
}
