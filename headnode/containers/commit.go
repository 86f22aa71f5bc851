package containers

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/imageconfig"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Commit implements dockerapi.Files: the container's node makes the image, and
// then the account has it.
func (s *Service) Commit(ctx context.Context, a model.Account, ref string, r dockerapi.CommitRequest) (string, error) {
	leave, err := s.streams.enter(a.ID)
	if err != nil {
		return "", err
	}
	defer leave()
	v := s.store.View()
	c, err := find(v, a.ID, ref)
	if err != nil {
		return "", err
	}
	switch c.State.Status {
	case model.StatusDead, model.StatusRemoving:
		return "", model.Errorf(model.KindConflict, "You cannot commit container %s which is %s", c.ID, c.State.Status)
	}
	config, err := commitConfig(v, c, r)
	if err != nil {
		return "", err
	}
	request := wire.CommitRequest{
		Name: r.Name, Config: config, Author: r.Author, Comment: r.Comment, Created: time.Now().UTC(),
		Pause: r.Pause && c.State.Status == model.StatusRunning,
	}
	img, err := s.images.Adopt(ctx, a.ID, c.NodeID, r.Name, func() (model.Image, error) {
		made, err := s.agents.Agent(c.NodeID).Commit(ctx, c.ID, request)
		if err != nil {
			return model.Image{}, err
		}
		return made.Image, s.see(ctx, c.NodeID, made.Ack)
	})
	return img.ID, err
}

// commitConfig is what the image will say: the container's configuration or
// the request's, changed by instructions, and the container's under it.
func commitConfig(v *state.View, c model.Container, r dockerapi.CommitRequest) (model.ImageConfig, error) {
	img, _ := v.Image(c.Spec.ImageID)
	own := imageconfig.OfContainer(&c.Spec, &img.Config)
	config := own
	if r.Config != nil {
		config = *r.Config
	}
	config, err := imageconfig.Apply(config, r.Changes)
	if err != nil {
		return config, err
	}
	config = imageconfig.Merge(config, own)
	body, err := json.Marshal(config)
	if err != nil {
		return config, err
	}
	if len(body) > maxRecord-recordReserve {
		return config, model.Errorf(model.KindTooLarge, "the image's configuration takes %d bytes, more than the %d allowed; give it fewer labels and variables",
			len(body), maxRecord-recordReserve)
	}
	return config, nil
}
