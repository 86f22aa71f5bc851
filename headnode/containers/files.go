package containers

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// StatPath implements dockerapi.Files.
func (s *Service) StatPath(ctx context.Context, a model.Account, ref, path string) (model.PathStat, error) {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return model.PathStat{}, err
	}
	defer leave()
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return model.PathStat{}, err
	}
	return s.agents.Agent(c.NodeID).StatPath(ctx, c.ID, path)
}

// ReadArchive implements dockerapi.Files. The archive counts against the
// account's limit of streams until it is closed.
func (s *Service) ReadArchive(ctx context.Context, a model.Account, ref, path string) (wire.Archive, error) {
	var stat model.PathStat
	r, err := s.reader(a, ref, func(n wire.Agent, c model.Container) (io.ReadCloser, error) {
		archive, err := n.ReadArchive(ctx, c.ID, path)
		stat = archive.Stat
		return archive.ReadCloser, err
	})
	return wire.Archive{Stat: stat, ReadCloser: r}, err
}

// WriteArchive implements dockerapi.Files.
func (s *Service) WriteArchive(ctx context.Context, a model.Account, ref string, r wire.WriteArchiveRequest, tar io.Reader) error {
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return err
	}
	leave, err := s.streams.enter(a.ID)
	if err != nil {
		return err
	}
	defer leave()
	return s.agents.Agent(c.NodeID).WriteArchive(ctx, c.ID, r, tar)
}

// Export implements dockerapi.Files. It counts as ReadArchive does.
func (s *Service) Export(ctx context.Context, a model.Account, ref string) (io.ReadCloser, error) {
	return s.reader(a, ref, func(n wire.Agent, c model.Container) (io.ReadCloser, error) { return n.Export(ctx, c.ID) })
}

// Changes implements dockerapi.Files.
func (s *Service) Changes(ctx context.Context, a model.Account, ref string) ([]model.FileChange, error) {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return nil, err
	}
	return s.agents.Agent(c.NodeID).Changes(ctx, c.ID)
}
