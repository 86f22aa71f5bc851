package images

import (
	"context"
	"errors"
	"io"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// Pull implements dockerapi.Images: the least loaded node resolves the name
// with the user's credentials and fetches; then the account has the name.
func (s *Service) Pull(ctx context.Context, a model.Account, r dockerapi.PullRequest, progress func(wire.PullProgress)) (dockerapi.PullResult, error) {
	named, err := parse(r.Ref)
	if err != nil {
		return dockerapi.PullResult{}, err
	}
	if err := checkName(named.String()); err != nil {
		return dockerapi.PullResult{}, err
	}
	v := s.store.View()
	nodeID, err := s.chooseNode(v)
	if err != nil {
		return dockerapi.PullResult{}, err
	}
	before, _ := v.ImageName(a.ID, named.String())
	name := model.ImageName{AccountID: a.ID, Ref: named.String()}
	pulled, err := s.fetch(ctx, nodeID, wire.PullRequest{Ref: named.String(), Platform: r.Platform, Auth: r.Auth}, name, progress)
	if err != nil {
		return dockerapi.PullResult{}, err
	}
	return dockerapi.PullResult{Digest: pulled.Digest, New: before.ImageID != pulled.Image.ID}, nil
}

// fetch has a node pull, and records the image with that holder and the name.
func (s *Service) fetch(ctx context.Context, nodeID string, r wire.PullRequest, name model.ImageName, progress func(wire.PullProgress)) (*wire.PulledImage, error) {
	s.bytes.RLock()
	defer s.bytes.RUnlock()
	stream, err := s.agents.Agent(nodeID).PullImage(ctx, r)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	pulled, err := follow(stream, progress)
	if err != nil {
		return nil, err
	}
	if err := failpoint.Hit("head.pull.fetched"); err != nil {
		return nil, err
	}
	name.Digest = pulled.Digest
	return pulled, s.give(ctx, name.AccountID, nodeID, command.ActionPull, name, pulled.Image)
}

// follow reads a pull to its end.
func follow(stream wire.PullStream, progress func(wire.PullProgress)) (*wire.PulledImage, error) {
	for {
		m, err := stream.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, model.Errorf(model.KindUnavailable, "the node ended the pull before it was complete; try again")
		case err != nil:
			return nil, err
		case m.Error != nil:
			return nil, m.Error.Err()
		case m.Image != nil:
			return m.Image, nil
		case m.Progress != nil:
			progress(*m.Progress)
		}
	}
}
