package agent

import (
	"context"
	"io"
	"sync"

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
	ctx, cancel := context.WithCancel(ctx)
	s := &pull{ctx: ctx, cancel: cancel, messages: make(chan wire.PullMessage, 64)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		cancel()
		return nil, model.Errorf(model.KindUnavailable, "the node is shutting down; try again when it is back")
	}
	s.unbind = context.AfterFunc(a.running, cancel)
	a.loops.Go(func() { s.run(a, op, work) })
	return s, nil
}

// pull is one pull that is under way.
type pull struct {
	ctx      context.Context
	cancel   context.CancelFunc
	unbind   func() bool
	messages chan wire.PullMessage // closed after the last
	close    sync.Once
}

func (s *pull) run(a *Agent, op string, work fetching) {
	defer close(s.messages)
	pulled, err := work(s.ctx, func(p image.Progress) {
		s.send(wire.PullMessage{Progress: &wire.PullProgress{Layer: p.Layer, Status: p.Status, Current: p.Current, Total: p.Total}})
	})
	if err != nil {
		if s.ctx.Err() == nil {
			a.log.Warn("cannot fetch an image", "op", op, "err", err)
		}
		s.send(wire.PullMessage{Error: wire.NewErrorBody(err)})
		return
	}
	s.send(wire.PullMessage{Image: &pulled})
}

func (s *pull) send(m wire.PullMessage) {
	select {
	case s.messages <- m:
	case <-s.ctx.Done():
	}
}

// Next implements wire.PullStream.
func (s *pull) Next() (wire.PullMessage, error) {
	select {
	case m, more := <-s.messages:
		if !more {
			return m, io.EOF
		}
		return m, nil
	case <-s.ctx.Done():
		return wire.PullMessage{}, s.ctx.Err()
	}
}

// Close implements wire.PullStream.
func (s *pull) Close() error {
	s.close.Do(func() {
		s.unbind()
		s.cancel()
	})
	return nil
}
