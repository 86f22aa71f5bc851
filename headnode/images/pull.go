package images

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Pull implements dockerapi.Images: the least loaded node resolves the name
// with the user's credentials and fetches; then the account has the name.
func (s *Service) Pull(ctx context.Context, a model.Account, r dockerapi.PullRequest, progress func(wire.PullProgress)) (dockerapi.PullResult, error) {
	named, err := parse(r.Ref)
	if err != nil {
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
	if before.ImageID != "" && before.ImageID != pulled.Image.ID {
		s.Sweep(ctx) // the name has moved; what it named may be nobody's now
	}
	return dockerapi.PullResult{Digest: pulled.Digest, New: before.ImageID != pulled.Image.ID}, nil
}

// Ensure makes a node hold an image that the account has, by its digest. The
// registry must let everybody read it, for credentials are not kept. An image
// that no registry has is where it was made only.
func (s *Service) Ensure(ctx context.Context, accountID string, img model.Image, nodeID string) error {
	if slices.Contains(img.Holders, nodeID) {
		return nil
	}
	names := namesOf(s.store.View(), accountID, img.ID)
	if len(names) == 0 {
		return missing(img.ID)
	}
	at := slices.IndexFunc(names, func(n model.ImageName) bool { return n.Digest != "" })
	if at < 0 {
		return model.Errorf(model.KindUnavailable, "image %s is not at a registry, and the node that made it does not have it any more; make it again", shortImageID(img.ID))
	}
	r := wire.PullRequest{Ref: repository(names[at].Ref) + "@" + img.Digest, Platform: img.OS + "/" + img.Architecture}
	_, err := s.fetch(ctx, nodeID, r, model.ImageName{}, func(wire.PullProgress) {})
	return err
}

// fetch has a node pull, and records the image with that holder and, unless
// its Ref is empty, the name.
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
	img := pulled.Image
	img.Holders = []string{nodeID}
	now := time.Now().UTC()
	name.ImageID, name.Digest, name.Updated = img.ID, pulled.Digest, now
	_, err = s.store.Propose(ctx, command.PutImage{Image: img, Name: name, Action: command.ActionPull, Time: now})
	return pulled, err
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

func (s *Service) chooseNode(v *state.View) (string, error) {
	all := v.Nodes()
	nodes := make([]placement.Node, len(all))
	for i, n := range all {
		nodes[i] = placement.Node{Node: n, Connected: s.agents.Connected(n.ID), Promised: v.Promised(n.ID)}
	}
	d, err := placement.Decide(nodes, placement.Request{Seed: rand.Uint64()})
	return d.NodeID, err
}
