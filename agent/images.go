package agent

import (
	"context"
	"time"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Images implements wire.Agent.
func (a *Agent) Images(ctx context.Context) ([]string, error) {
	return a.drivers.Images.List(ctx)
}

// RemoveImage implements wire.Agent.
func (a *Agent) RemoveImage(ctx context.Context, id string) error {
	for _, s := range a.snapshots() {
		if s.Spec.ImageID == id {
			return model.Errorf(model.KindConflict, "image %s is being used by a container of this node", id)
		}
	}
	return a.drivers.Images.Remove(ctx, id)
}

// PullImage implements wire.Agent. The pull ends with ctx, with the stream's
// Close, and with the agent.
func (a *Agent) PullImage(ctx context.Context, r wire.PullRequest) (wire.PullStream, error) {
	return a.arrive(ctx, "pull", func(ctx context.Context, progress func(image.Progress)) (wire.PulledImage, error) {
		img, digest, isNew, err := a.drivers.Images.Pull(ctx, image.PullRequest{
			Ref: r.Ref, Platform: r.Platform,
			Username: r.Auth.Username, Password: r.Auth.Password,
			IdentityToken: r.Auth.IdentityToken, RegistryToken: r.Auth.RegistryToken,
		}, progress)
		return wire.PulledImage{Image: img, Digest: digest, New: isNew}, err
	})
}

// fetching makes the node hold an image.
type fetching func(ctx context.Context, progress func(image.Progress)) (wire.PulledImage, error)

// arrive does the work of a pull and tells of it.
func (a *Agent) arrive(ctx context.Context, op string, work fetching) (wire.PullStream, error) {
	return carry(ctx, a, func(s *stream[wire.PullMessage]) {
		began := time.Now()
		pulled, err := work(s.ctx, func(p image.Progress) {
			s.send(wire.PullMessage{Progress: &wire.PullProgress{Layer: p.Layer, Status: p.Status, Current: p.Current, Total: p.Total}})
		})
		a.metrics.Fetched(op, time.Since(began), err)
		switch {
		case err == nil:
			a.log.Info("the node holds an image", "op", op, "image", pulled.Image.ID, "new", pulled.New)
			s.send(wire.PullMessage{Image: &pulled})
			return
		case s.ctx.Err() == nil:
			a.log.Warn("cannot fetch an image", "op", op, "err", err)
		}
		s.send(wire.PullMessage{Error: wire.NewErrorBody(err)})
	})
}
