package containers

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Attach implements dockerapi.Containers. The stream counts against the
// account's limit until it is closed.
func (s *Service) Attach(ctx context.Context, a model.Account, ref string, r wire.AttachRequest) (wire.Stream, error) {
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return nil, err
	}
	return s.stream(a, func() (wire.Stream, error) { return s.agents.Agent(c.NodeID).Attach(ctx, c.ID, r) })
}

// Logs implements dockerapi.Containers.
func (s *Service) Logs(ctx context.Context, a model.Account, ref string, r wire.LogsRequest) (io.ReadCloser, error) {
	return s.reader(a, ref, func(n wire.Agent, c model.Container) (io.ReadCloser, error) { return n.Logs(ctx, c.ID, r) })
}

// reader opens something of a container that holds a place in the account's
// limit of streams until it is closed.
func (s *Service) reader(a model.Account, ref string, open func(wire.Agent, model.Container) (io.ReadCloser, error)) (io.ReadCloser, error) {
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return nil, err
	}
	leave, err := s.streams.enter(a.ID)
	if err != nil {
		return nil, err
	}
	r, err := open(s.agents.Agent(c.NodeID), c)
	if err != nil {
		leave()
		return nil, err
	}
	return countedReader{r, leave}, nil
}

// stream opens a stream that holds a place in the account's limit.
func (s *Service) stream(a model.Account, open func() (wire.Stream, error)) (wire.Stream, error) {
	leave, err := s.streams.enter(a.ID)
	if err != nil {
		return nil, err
	}
	stream, err := open()
	if err != nil || stream == nil {
		leave()
		return nil, err
	}
	return countedStream{stream, leave}, nil
}

type countedStream struct {
	wire.Stream
	leave func()
}

func (c countedStream) Close() error {
	c.leave()
	return c.Stream.Close()
}

type countedReader struct {
	io.ReadCloser
	leave func()
}

func (c countedReader) Close() error {
	c.leave()
	return c.ReadCloser.Close()
}
